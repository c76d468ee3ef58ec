"""The running process: what is built at its start, and what it does beside receiving."""
