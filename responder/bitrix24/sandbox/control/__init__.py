"""Lets a program that is not in this process set the sandbox and read what it was asked."""

from responder.bitrix24.sandbox.control.door import KEY_HEADER, open_door

__all__ = ["KEY_HEADER", "open_door"]
