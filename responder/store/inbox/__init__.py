"""Stores what was received and waits to be judged, and counts what was refused."""
