"""A local application of the sandbox: its tokens, its OAuth server, its events."""

from responder.bitrix24.sandbox.application.application_state import Application
from responder.bitrix24.sandbox.application.event_bindings import Outgoing
from responder.bitrix24.sandbox.application.oauth import OAuth, OAuthCall

__all__ = ["Application", "OAuth", "OAuthCall", "Outgoing"]
