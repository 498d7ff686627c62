"""Modules with control flow that depends on the data, and the native program that runs them."""
