"""Trying other rules on recorded situations."""
