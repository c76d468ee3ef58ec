"""Shows the decision log, the rules and the status of everything to people with a browser."""
