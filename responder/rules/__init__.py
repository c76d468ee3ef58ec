"""What should happen, decided without waiting, clock or network."""
