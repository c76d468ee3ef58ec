"""A file for each library that is met in one place: httpx, Prometheus, structlog, the terminal."""
