"""The proof that the decision log is as it was written."""
