"""Real proxies before the real program: nginx and Caddy, with the settings that people paste."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import eventually, free_port, listens

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
CADDY = shutil.which("caddy")

_NGINX = """\
worker_processes 1;
{user}
error_log {place}/nginx-errors.log;
pid {place}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ''      '';
    }}
    upstream responder {{
        server 127.0.0.1:{service};
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://responder;
            {proxy}
        }}
    }}
}}
"""
# what stands in the manuals for websockets, and what is copied from them
_WITH_A_MAP = """\
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
"""
_ALWAYS_UPGRADE = _WITH_A_MAP.replace("$connection_upgrade", '"upgrade"')
_CADDY = """\
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{service}
}}
"""
PROXIES = ("nginx with a map", "nginx that always upgrades", "caddy")


@contextmanager
def proxied(which: str, service_port: int, place: Path) -> Iterator[int]:
    """Run a proxy before the program; give its port. The test is skipped where there is none."""
    program = CADDY if which == "caddy" else NGINX
    if program is None:
        pytest.skip(f"{which.split()[0]} is not installed")
    port, settings = free_port(), place / f"{which.replace(' ', '-')}.conf"
    if which == "caddy":
        settings.write_text(_CADDY.format(port=port, service=service_port))
        words = [program, "run", "--adapter", "caddyfile", "--config", str(settings)]
    else:
        proxy = _WITH_A_MAP if which.endswith("map") else _ALWAYS_UPGRADE
        user = "user root;" if os.geteuid() == 0 else ""
        settings.write_text(
            _NGINX.format(port=port, service=service_port, place=place, user=user, proxy=proxy)
        )
        words = [program, "-p", str(place), "-c", str(settings), "-g", "daemon off;"]
    with _running(words, port, place / "proxy.log"):
        yield port


@contextmanager
def caddy(settings: Path, port: int) -> Iterator[Path]:
    """Run Caddy by these settings until it listens there; give its log."""
    assert CADDY is not None
    log = settings.with_suffix(".log")
    words = [CADDY, "run", "--adapter", "caddyfile", "--config", str(settings)]
    with _running(words, port, log):
        yield log


@contextmanager
def _running(words: list[str], port: int, log: Path) -> Iterator[None]:
    homes = dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(log.parent))
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, env=os.environ | homes)
    try:
        eventually(lambda: listens(port), why=log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(20)
