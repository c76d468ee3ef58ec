"""Notifications, from the outbox to whoever is to be told."""
