"""A local application of the sandbox: its tokens, its OAuth server, its events."""

from responder.bitrix24.sandbox.application.application import Application
from responder.bitrix24.sandbox.application.events import Outgoing
from responder.bitrix24.sandbox.application.oauth import OAuth, OAuthCall

__all__ = ["Application", "OAuth", "OAuthCall", "Outgoing"]
