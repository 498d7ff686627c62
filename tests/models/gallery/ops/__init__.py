"""A package with a name that operators have, too."""
