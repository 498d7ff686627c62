"""What the machine has to build with: CMake, a generator, compilers, their launchers."""
