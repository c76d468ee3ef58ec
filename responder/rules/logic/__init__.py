"""Finds out what rules can never do: whatever the facts are, a condition holds, or does not."""
