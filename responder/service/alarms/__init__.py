"""Alarms: what needs a person, is wrong or was wrong; one model for everything that shows it."""
