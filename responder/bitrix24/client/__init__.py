"""Requests to a portal: one or a batch, at the rate that it allows, and what its answers mean."""
