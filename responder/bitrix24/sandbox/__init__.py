"""A Bitrix24 portal in miniature, over real HTTP: for the tests, the demo, and rule authors."""

from responder.bitrix24.sandbox.portal import Sandbox, SandboxCall
from responder.bitrix24.sandbox.sample_portal import demo_portal
from responder.bitrix24.sandbox.server import SandboxServer, run
from responder.bitrix24.sandbox.state import Kind

__all__ = ["Kind", "Sandbox", "SandboxCall", "SandboxServer", "demo_portal", "run"]
