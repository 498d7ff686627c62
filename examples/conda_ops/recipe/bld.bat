@echo on
set PYTHONDONTWRITEBYTECODE=1
"%PYTHON%" -m pip wheel . --wheel-dir dist --no-deps --no-build-isolation -vv
if errorlevel 1 exit 1
"%PYTHON%" -m pip install series-ops --no-index --find-links dist --no-deps --no-compile --ignore-installed
if errorlevel 1 exit 1
