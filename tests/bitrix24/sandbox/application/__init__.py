"""Tests of the sandbox's local application, section by section of the page on it."""
