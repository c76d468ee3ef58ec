"""The pages of the decision log: its list, and one decision."""
