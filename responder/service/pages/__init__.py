"""The decision log, the rules and the state of everything, for people with a browser."""
