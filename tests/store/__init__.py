"""Tests of what must not be forgotten, on both databases."""
