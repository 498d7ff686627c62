"""TorchScript models: looked into, exported, checked against libtorch, compared with Python."""
