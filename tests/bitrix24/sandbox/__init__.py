"""The sandbox is held to what is known of the portal."""
