"""Says which of a portal's events a local application has, and reads those kept for it."""
