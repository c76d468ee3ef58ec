"""Requests to a portal: one command or a batch, within its rate limits, and their answers."""
