"""What is kept beside the log: deliveries, leases, limits, and the commit they share."""
