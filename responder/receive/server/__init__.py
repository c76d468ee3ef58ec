"""HTTP as strangers speak it: connections, deadlines, and the server, uvicorn."""
