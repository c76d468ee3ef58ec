"""Reads the decision log: for people, for pages, for backtests."""
