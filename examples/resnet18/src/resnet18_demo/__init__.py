"""A ResNet-18 and the native program that runs it."""
