"""What was received and waits to be judged, and what was refused."""
