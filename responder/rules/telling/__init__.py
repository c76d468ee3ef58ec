"""Whom a rule tells in the portal: how its keys are read, and who that is among the facts."""
