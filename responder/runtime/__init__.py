"""What runs, joining the rooms above."""
