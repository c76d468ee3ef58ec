"""Drives the local application of a portal: its installation, its tokens, its access."""
