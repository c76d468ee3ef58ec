"""Receives what a local application of a portal is sent: installation messages and events."""
