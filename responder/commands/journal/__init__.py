"""Commands that read the decision log, prove it, copy it and move it."""
