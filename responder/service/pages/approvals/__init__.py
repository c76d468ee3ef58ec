"""Shows what waits for approval as one list, and approves or cancels what is ticked."""
