@echo on
set PYTHONDONTWRITEBYTECODE=1
<% if python %>
"%PYTHON%" -m pip wheel . --wheel-dir dist --no-deps --no-build-isolation -vv
if errorlevel 1 exit 1
"%PYTHON%" -m pip install << name >> --no-index --find-links dist --no-deps --no-compile --ignore-installed
<% else %>
python setup.py -v build_ts_app --prefix "%LIBRARY_PREFIX%"
<% endif %>
if errorlevel 1 exit 1
