"""Reads the events that a portal keeps for its application."""
