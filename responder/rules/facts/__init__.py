"""What rules can test: which facts there are, of what types, and how they are compared."""
