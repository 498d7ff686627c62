"""The programs that a build starts: CMake, Ninja, the C++ compiler; and how many of them at once."""
