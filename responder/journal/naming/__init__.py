"""The names by which people know what was condemned."""
