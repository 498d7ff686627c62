"""New projects, for people to start from."""
