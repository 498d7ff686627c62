"""The CUDA toolkit and cuDNN, for the few targets that need them."""
