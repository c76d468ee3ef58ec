"""A portal whose certificate is not to be trusted is never asked anything."""

import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ASK = """
import asyncio, sys
from responder.bitrix24.client.rest import Command, Portal

async def main():
    portal = Portal("main", sys.argv[1])
    answer = await portal.call(Command("bizproc.workflow.kill", {"ID": "a"}))
    await portal.close()
    print(answer.failure.kind if answer.failure else "answered", answer.failure)

asyncio.run(main())
"""

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="there is no openssl here to make certificates with"
    ),
]


def openssl(*words: str, cwd: Path) -> None:
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate authority that the tests trust."""
    place = tmp_path_factory.mktemp("authority")
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem"),
        *("-days", "2", "-subj", "/CN=Test authority"),
        cwd=place,
    )
    return place


def certificate(place: Path, name: str, *times: str) -> ssl.SSLContext:
    """Make a server's certificate for a host name, signed by the authority."""
    (place / "san").write_text(f"subjectAltName={name}\n")
    openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "s.key", "-out", "s.csr"),
        *("-subj", "/CN=portal"),
        cwd=place,
    )
    openssl(
        *("x509", "-req", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "s.pem"),
        *("-CAcreateserial", "-extfile", "san", *times),
        cwd=place,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "s.pem", place / "s.key")
    return context


@contextmanager
def serving(context: ssl.SSLContext, heard: list[bytes]) -> Iterator[str]:
    """Answer TLS connections with a kill that was done, and note what was asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    asked = b""
                    while not asked.endswith(b"}"):
                        asked += connection.recv(65536)
                    heard.append(asked)
                    body = b'{"result":true}'
                    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                    connection.sendall(head % len(body) + body)
            except OSError:
                raw.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}/rest/1/a-secret-of-a-test/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def ask(url: str, trusted: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK, url],
        env={"SSL_CERT_FILE": str(trusted / "ca.pem"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "a-secret-of-a-test" not in done.stdout + done.stderr
    return done.stdout


def test_a_trusted_certificate_is_answered(authority: Path) -> None:
    heard: list[bytes] = []
    with serving(certificate(authority, "DNS:localhost", "-days", "2"), heard) as url:
        assert ask(url, authority).startswith("answered")
    assert len(heard) == 1


def test_an_expired_certificate_is_never_asked(authority: Path) -> None:
    heard: list[bytes] = []
    context = certificate(authority, "DNS:localhost", "-days", "0")
    time.sleep(1.1)  # its last second is over
    with serving(context, heard) as url:
        said = ask(url, authority)
    assert said.startswith("busy") or "no_connection" in said, said
    assert heard == []


def test_a_host_that_is_another_is_never_asked(authority: Path) -> None:
    """A name that resolves to another machine meets a certificate for another name."""
    heard: list[bytes] = []
    context = certificate(authority, "DNS:another.example", "-days", "2")
    with serving(context, heard) as url:
        said = ask(url, authority)
    assert said.startswith("busy") or "no_connection" in said, said
    assert heard == []


def test_a_certificate_of_an_unknown_authority_is_never_asked(
    authority: Path, tmp_path: Path
) -> None:
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "x.key", "-out", "ca.pem"),
        *("-days", "2", "-subj", "/CN=Another authority"),
        cwd=tmp_path,
    )
    heard: list[bytes] = []
    with serving(certificate(authority, "DNS:localhost", "-days", "2"), heard) as url:
        said = ask(url, tmp_path)
    assert said.startswith("busy") or "no_connection" in said, said
    assert heard == []
