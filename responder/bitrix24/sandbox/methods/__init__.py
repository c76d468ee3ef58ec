"""The methods that the sandbox has."""
