"""Receives events: checks the sender, stores, acknowledges."""
