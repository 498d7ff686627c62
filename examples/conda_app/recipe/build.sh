#!/bin/bash
set -euo pipefail
# Else the bytecode of every tool that runs would count among the package's files.
export PYTHONDONTWRITEBYTECODE=1
# Error messages name source files: not the folder that they were built in.
export CXXFLAGS="${CXXFLAGS:-} -fmacro-prefix-map=$SRC_DIR/="
python setup.py -v build_ts_app --prefix "$PREFIX"
