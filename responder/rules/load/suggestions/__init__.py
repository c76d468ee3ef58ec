"""Guesses what the author of a wrong value probably meant."""
