"""Maintains a log over the years: pruning, erasing, moving, copying."""
