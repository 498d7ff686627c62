@echo on
set PYTHONDONTWRITEBYTECODE=1
<% if python %>
"%PYTHON%" -m pip install . --no-deps --no-build-isolation --no-compile -vv
<% else %>
python setup.py build_ts_app --prefix "%LIBRARY_PREFIX%"
<% endif %>
if errorlevel 1 exit 1
