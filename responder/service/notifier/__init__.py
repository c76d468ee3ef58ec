"""Sends notifications from the outbox to a webhook."""
