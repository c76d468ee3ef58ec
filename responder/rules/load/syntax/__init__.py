"""Reads YAML as far as it can be read, and says in plain words what is wrong with its form."""
