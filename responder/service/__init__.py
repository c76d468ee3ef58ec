"""Runs the process: builds it at its start, and does what is done beside receiving."""
