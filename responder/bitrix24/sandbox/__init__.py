"""A Bitrix24 portal in miniature, over real HTTP: for the tests, the demo, and rule authors."""

from responder.bitrix24.sandbox.application import Application, OAuthCall, Outgoing
from responder.bitrix24.sandbox.application.oauth_server import OAuthServer
from responder.bitrix24.sandbox.application.portal_account import Kind
from responder.bitrix24.sandbox.portal import Sandbox, SandboxCall
from responder.bitrix24.sandbox.sample_portal import demo_portal
from responder.bitrix24.sandbox.server import SandboxServer, run

__all__ = [
    "Application",
    "Kind",
    "OAuthCall",
    "OAuthServer",
    "Outgoing",
    "Sandbox",
    "SandboxCall",
    "SandboxServer",
    "demo_portal",
    "run",
]
