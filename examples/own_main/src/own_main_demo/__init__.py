"""A function as a TorchScript model, and the native program that looks for its minimum."""
