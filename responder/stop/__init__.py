"""Stops what was condemned: evidence, limits, the gate, and whether it is gone."""
