"""Writes rules in English, so that people who do not program can check them."""
