"""How the portal speaks: the only room that knows its quirks."""
