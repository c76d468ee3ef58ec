"""The OAuth side of a local application: its installation, its tokens, and who may be believed."""
