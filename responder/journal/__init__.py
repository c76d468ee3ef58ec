"""Writes the decision log: its chain, its entries, and the index by which they are found."""
