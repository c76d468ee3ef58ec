"""The migrations of the store, packaged with it."""
