"""Gets a libtorch into the user's cache, when somebody asks for it; no build does."""
