"""Tests of the door through which a sandbox is set from outside."""
