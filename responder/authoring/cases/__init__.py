"""Test cases of rules: parsed, run, and described as JSON Schema."""
