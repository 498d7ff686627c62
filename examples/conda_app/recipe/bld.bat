@echo on
set PYTHONDONTWRITEBYTECODE=1
python setup.py -v build_ts_app --prefix "%LIBRARY_PREFIX%"
if errorlevel 1 exit 1
