# As conda-forge's compilers activate themselves; the sysroot is the system's own.
_prefix="$CONDA_PREFIX"
export CC="$_prefix/bin/x86_64-conda-linux-gnu-cc" CXX="$_prefix/bin/x86_64-conda-linux-gnu-c++"
export GCC="$CC" GXX="$CXX" CONDA_BUILD_SYSROOT="$_prefix/x86_64-conda-linux-gnu/sysroot"
export CFLAGS="-ftree-vectorize -fPIC -fstack-protector-strong -fno-plt -O2 -ffunction-sections -pipe"
export CXXFLAGS="-fvisibility-inlines-hidden $CFLAGS"
export LDFLAGS="-Wl,-O2 -Wl,--sort-common -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,--disable-new-dtags"
export CMAKE_ARGS="-DCMAKE_BUILD_TYPE=Release"
if [ "${CONDA_BUILD:-0}" = 1 ]; then
  export CFLAGS="$CFLAGS -isystem $PREFIX/include -fdebug-prefix-map=$SRC_DIR=/usr/local/src/conda/package"
  export CXXFLAGS="$CXXFLAGS -isystem $PREFIX/include -fdebug-prefix-map=$SRC_DIR=/usr/local/src/conda/package"
  export LDFLAGS="$LDFLAGS -Wl,-rpath,$PREFIX/lib -Wl,-rpath-link,$PREFIX/lib -L$PREFIX/lib"
  CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_INSTALL_PREFIX=$PREFIX -DCMAKE_INSTALL_LIBDIR=lib"
  CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY"
  CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_PROGRAM_PATH=$_prefix/bin;$PREFIX/bin"
  CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_FIND_ROOT_PATH=$PREFIX;/"
fi
unset _prefix
