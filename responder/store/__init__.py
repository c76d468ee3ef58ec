"""Stores what is not in the log: deliveries, leases, limits, and the commit that writers share."""
