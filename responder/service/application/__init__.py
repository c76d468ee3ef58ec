"""Drives the local application of a portal: its installation, tokens, access, and events."""
