"""Tests of rules: read, run, described as a schema."""
