"""Parses what several commands are given: a time, a document."""
