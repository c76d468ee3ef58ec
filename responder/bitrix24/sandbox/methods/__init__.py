"""The methods that the sandbox knows."""
