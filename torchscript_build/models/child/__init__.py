"""Runs in a process with torch: makes models from their factories, and reference outputs from models.

Imports nothing of torchscript-build, so it works in any interpreter that has torch.
"""
