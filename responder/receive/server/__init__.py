"""Serves HTTP to strangers: connections, deadlines, and the server, uvicorn."""
