"""The questions that show whether a portal answers as responder relies on; reading only."""
