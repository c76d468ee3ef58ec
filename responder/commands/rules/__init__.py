"""Defines commands for those who write rules."""
