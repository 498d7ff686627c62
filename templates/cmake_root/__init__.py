"""The folder of ``find_package(Torch)`` for build back ends that read the entry points ``cmake.root``.

It is imported in builds that never heard of torch, so it imports nothing.
"""
