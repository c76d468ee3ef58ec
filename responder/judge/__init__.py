"""Judges what was received: which jobs are due, what is read, and what the rules make of it."""
