"""Long lists of the portal, read to their end while they change."""
