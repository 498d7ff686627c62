"""The eight sources with torch.utils.cpp_extension."""

from glob import glob

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="bench-ops",
    version="1.0",
    packages=["bench_ops"],
    ext_modules=[CppExtension("bench_ops._C", sorted(glob("cpp/*.cpp")))],
    cmdclass={"build_ext": BuildExtension},
)
