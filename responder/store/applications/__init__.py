"""Stores local applications: what is pinned of each, held messages, offline events."""
