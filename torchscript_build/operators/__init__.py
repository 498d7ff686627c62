"""Operator libraries: what their sources register, and what they register when they are loaded."""
