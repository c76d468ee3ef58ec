"""The facts that rules can test: their names, their types, and how values are compared."""
