"""Which of several processes drives a portal, and by which clock."""
