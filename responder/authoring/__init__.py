"""What the people who write rules run."""
