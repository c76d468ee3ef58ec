"""Elects which of several processes drives a portal, on the database's clock."""
