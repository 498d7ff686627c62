@echo on
set PYTHONDONTWRITEBYTECODE=1
"%PYTHON%" -m pip install . --no-deps --no-build-isolation --no-compile -vv
if errorlevel 1 exit 1
