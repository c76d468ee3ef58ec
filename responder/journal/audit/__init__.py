"""Proves that the decision log is as it was written."""
