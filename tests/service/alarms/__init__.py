"""The one model of alarms."""
