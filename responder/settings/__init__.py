"""Settings: read from the environment, checked, and reported by the variable that is wrong."""
