"""Defines commands that read the decision log, verify it, copy it and move it."""
