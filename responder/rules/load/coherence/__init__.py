"""Finds rules that can be read, and whose parts do not fit together."""
