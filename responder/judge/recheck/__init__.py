"""Judges waiting stops afresh, and what `keep` spared in their stead."""
