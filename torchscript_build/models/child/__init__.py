"""Runs in a process with torch, and imports nothing of torchscript-build: models and reference outputs are made here."""
