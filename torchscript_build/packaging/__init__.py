"""The setuptools side: hooks, commands, staging, wheels."""
