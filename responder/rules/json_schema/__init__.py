"""The language as JSON Schema, for editors: facts, their values, and the tests of them."""
