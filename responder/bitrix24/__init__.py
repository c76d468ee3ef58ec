"""How a portal speaks: the only room that knows its quirks."""
