"""TorchScript archives, looked at without torch."""
