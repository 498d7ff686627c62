"""Small models of our own that have the shape of what people deploy; see gallery/models.py."""
