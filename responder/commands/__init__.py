"""Defines the commands, a module for each kind of user."""
