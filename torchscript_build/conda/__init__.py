"""A project's conda recipe."""
