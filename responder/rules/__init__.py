"""The rules room: what should happen, decided without waiting, clock or network."""
