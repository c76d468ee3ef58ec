"""One database of either kind: its connections, its tables, its migrations."""
