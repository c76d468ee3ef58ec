"""Serves the OAuth server of a sandbox on a port of its own."""

from typing import Self

from responder.bitrix24.sandbox.portal import Sandbox
from responder.bitrix24.sandbox.server import ThreadedServer


class OAuthServer(ThreadedServer):
    """The OAuth server of a portal on a port of 127.0.0.1, by default a free one, in a thread.

    From its start on the portal and its tokens name this address as that of the OAuth server.
    """

    def __init__(self, sandbox: Sandbox, port: int = 0) -> None:
        super().__init__(sandbox.oauth, "oauth", port)
        self.sandbox = sandbox

    @property
    def url(self) -> str:
        """Return the address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """Return the address of the token endpoint."""
        return f"{self.url}/oauth/token/"

    def start(self) -> Self:
        """Start to serve, and return when connections are accepted."""
        super().start()
        self.sandbox.reached_at(oauth=self.url)
        return self
