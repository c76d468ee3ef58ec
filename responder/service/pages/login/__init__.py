"""Logs admins in to the pages, and slows down whoever guesses passwords."""
