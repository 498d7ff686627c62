"""Runs in a process with torch, and imports nothing of torchscript-build: makes models and reference outputs."""
