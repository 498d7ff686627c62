#!/bin/bash
set -euo pipefail
# Else the bytecode of every tool that runs would count among the package's files.
export PYTHONDONTWRITEBYTECODE=1
"$PYTHON" -m pip install . --no-deps --no-build-isolation --no-compile -vv
