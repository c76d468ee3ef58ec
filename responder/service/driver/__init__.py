"""One round of a portal after the other, by whoever holds its lease."""
