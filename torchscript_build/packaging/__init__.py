"""The setuptools side: hooks, commands, wheels."""
