#!/bin/bash
set -euo pipefail
# Else the bytecode of every tool that runs would count among the package's files.
export PYTHONDONTWRITEBYTECODE=1
# Error messages name source files: not the folder that they were built in.
export CXXFLAGS="${CXXFLAGS:-} -fmacro-prefix-map=$SRC_DIR/="
<% if python %>
# In two steps, since what pip installs from a folder tells the folder (direct_url.json).
"$PYTHON" -m pip wheel . --wheel-dir dist --no-deps --no-build-isolation -vv
"$PYTHON" -m pip install << name >> --no-index --find-links dist --no-deps --no-compile --ignore-installed
<% elif bundle %>
python setup.py -v build_ts_app --bundle "$PREFIX/<< bundle >>" --format dir --cxx-runtime
mkdir -p "$PREFIX/bin"
for program in "$PREFIX/<< bundle >>"/bin/*; do
  ln -s "../<< bundle >>/bin/$(basename "$program")" "$PREFIX/bin/"
done
<% else %>
python setup.py -v build_ts_app --prefix "$PREFIX"
<% endif %>
