"""Starts the template of a stopped workflow anew, once, when a person asks for it."""
