"""From the environment to the settings, and which variable is wrong."""
