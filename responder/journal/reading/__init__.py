"""The decision log as it is read: for people, for pages, for backtests."""
