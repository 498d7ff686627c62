"""What is written: a plan becomes the texts of a CMake project and of Python modules, in memory."""
