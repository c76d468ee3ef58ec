"""The sandbox as a command: what it prints is enough to use it."""

import re
import subprocess
import sys

import httpx
import pytest

from tests.support.processes import eventually, free_port

pytestmark = pytest.mark.service


def test_what_it_prints_leads_to_the_application_and_to_the_door() -> None:
    port = free_port()
    command = [sys.executable, "-m", "responder", "sandbox", "--application"]
    command += ["--port", str(port), "--oauth-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            said = "".join(process.stdout.readline() for _ in range(5))
            url, client_id, secret, oauth, door, key = re.findall(
                r"^(http\S+)|id +(\S+)|secret +(\S+)|OAuth +(\S+)|control +(\S+)|Key: (\S+)",
                said,
                re.M,
            )
            with httpx.Client(trust_env=False, timeout=5) as client:
                asked = eventually(lambda: installed(client, f"{door[4]}install", key[5]))
                [told] = asked.json()["result"]
                given = dict(re.findall(r"auth%5B(\w+)%5D=([^&]*)", told["body"]))
                tokens = client.post(
                    f"{oauth[3]}/oauth/token/",
                    data={
                        "grant_type": "refresh_token",
                        "client_id": client_id[1],
                        "client_secret": secret[2],
                        "refresh_token": given["refresh_token"],
                    },
                ).json()
                rest = client.post(
                    f"{tokens['client_endpoint']}profile", params={"auth": tokens["access_token"]}
                )
                assert rest.json()["result"]["ADMIN"] is True
                assert client.post(f"{url[0]}scope").status_code == 200
        finally:
            process.terminate()


def installed(client: httpx.Client, url: str, key: str) -> httpx.Response | None:
    """Have it installed; None while the port is not open, for the address is printed before."""
    try:
        return client.post(url, headers={"X-Sandbox-Key": key}, json={"deliver": False})
    except httpx.ConnectError:
        return None
