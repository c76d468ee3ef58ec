"""Says what texts mean that look like more than the signs in them."""
