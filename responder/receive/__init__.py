"""Receives events: checks who sends, stores, acknowledges."""
