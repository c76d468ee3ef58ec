"""compose.yaml and Caddyfile fit the Dockerfile, the settings and what the program answers."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.routing import Route

from responder.adapters.metrics import Metrics
from responder.adapters.package_texts import DEPLOY, DOCS
from responder.receive.endpoint import other_routes
from responder.service.app import NOT_READY_SECONDS, STOP_SECONDS
from responder.settings.settings import Settings
from responder.store.database.engines import parse
from tests.support.processes import eventually, free_port
from tests.support.proxies import CADDY, caddy
from tests.support.uvicorn_thread import connected, parsed

ROOT = Path(__file__).parents[2]
CADDYFILE = DEPLOY.text("caddyfile")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRET_PATH = "a-secret-path-0001"
Compose = dict[str, Any]
REPLICAS = ("responder-1", "responder-2", "responder-3")


def instruction(name: str) -> str:
    """Return what the last stage of the Dockerfile says in one of its lines."""
    found: list[str] = re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)
    return found[-1]


@pytest.fixture(scope="module")
def compose() -> Compose:
    loaded: Compose = yaml.safe_load(DEPLOY.text("compose"))
    return loaded


def test_three_replicas_run_what_the_image_runs(compose: Compose) -> None:
    for name in REPLICAS:
        replica = compose["services"][name]
        assert replica["build"] == "."
        assert "command" not in replica
        assert "entrypoint" not in replica
        assert "user" not in replica
    assert instruction("ENTRYPOINT") == '["responder"]'
    assert instruction("CMD") == '["serve"]'


def test_the_image_installs_nothing_without_a_hash_and_its_base_can_be_pinned() -> None:
    commands = re.findall(r"pip (?:install|wheel) .*", DOCKERFILE)
    assert len(commands) >= 4
    assert [
        one for one in commands if "--require-hashes" not in one and "--no-deps" not in one
    ] == []
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
    (argument,) = re.findall(r"^ARG (\w+)=python:", DOCKERFILE, re.MULTILINE)
    assert f"--build-arg {argument}=" in DOCS.text("operating")


@pytest.mark.parametrize("name", ["requirements.lock", ".ci/build.lock"])
def test_a_lock_has_a_hash_for_each_version_and_names_no_host(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    for requirement in re.split(r"\n(?=\S)", lock.strip()):
        assert re.match(r"[a-z0-9_.\[\]-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement


def test_its_variables_are_settings_and_what_they_say_can_be_meant(compose: Compose) -> None:
    given = compose["services"]["responder-1"]["environment"]
    ours = {name: value for name, value in given.items() if name.startswith("RESPONDER_")}
    known = {f"RESPONDER_{name.upper()}" for name in Settings.model_fields}
    assert set(ours) <= known
    database = parse(ours["RESPONDER_DATABASE_URL"])
    postgres = compose["services"]["postgres"]["environment"]
    assert database.host == "postgres"
    assert database.username == postgres["POSTGRES_USER"]
    assert given["PGPASSWORD"] == postgres["POSTGRES_PASSWORD"]
    assert database.database in (postgres.get("POSTGRES_DB"), postgres["POSTGRES_USER"])


def test_the_rules_are_where_the_setting_looks_for_them(compose: Compose) -> None:
    replica = compose["services"]["responder-1"]
    (mount,) = replica["volumes"]
    _, place, how = mount.split(":")
    assert Path(replica["environment"]["RESPONDER_RULES"]).parent == Path(place)
    assert how == "ro"


def test_the_proxy_asks_each_replica_on_the_image_s_port_and_path() -> None:
    port = instruction("EXPOSE")
    assert int(port) == Settings.model_fields["port"].default
    (upstreams,) = re.findall(r"reverse_proxy (.*) \{", CADDYFILE)
    assert upstreams.split() == [f"{name}:{port}" for name in REPLICAS]
    assert "handle /events* {" in CADDYFILE
    (health,) = re.findall(r"health_uri (.*)", CADDYFILE)

    async def ready() -> tuple[bool, dict[str, object]]:
        return True, {}

    application = other_routes(ready, Metrics(), None)
    assert health in [route.path for route in application.routes if isinstance(route, Route)]


@pytest.mark.skipif(CADDY is None, reason="caddy is not installed")
def test_what_the_proxy_logs_of_an_error_holds_no_secret_path(tmp_path: Path) -> None:
    port, nobody = free_port(), free_port()
    content = CADDYFILE.replace("{\n", "{\n  admin off\n  auto_https off\n", 1)
    content = content.replace("\nresponder.example.com {", f"\nhttp://:{port} {{")
    content = re.sub(r"responder-\d:8000", f"127.0.0.1:{nobody}", content)
    for newer_or_slow in ("request_buffers 70KiB", "lb_try_duration 5s"):
        content = content.replace(newer_or_slow, "")
    (tmp_path / "Caddyfile").write_text(content)
    with caddy(tmp_path / "Caddyfile", port) as log:
        head = b"POST /events/%s?x=y HTTP/1.1\r\nHost: a\r\n" % SECRET_PATH.encode()
        sent = head + b"Referer: http://a/%s\r\nContent-Length: 0\r\n\r\n" % SECRET_PATH.encode()
        with connected(port) as connection:
            connection.sendall(sent)
            assert parsed(connection.recv(65536)).status in (502, 503)
        eventually(lambda: b'"status":50' in log.read_bytes() or None, why=log.read_text)
        assert SECRET_PATH not in log.read_text()


def test_what_is_named_stands_there(compose: Compose) -> None:
    named = {
        mount.split(":")[0]
        for service in compose["services"].values()
        for mount in service.get("volumes", ())
        if not mount.startswith(".")
    }
    assert named == set(compose["volumes"])
    assert compose["services"]["proxy"]["configs"] == [
        {"source": "caddyfile", "target": "/etc/caddy/Caddyfile"}
    ]
    assert compose["configs"] == {"caddyfile": {"file": "./Caddyfile"}}
    assert (ROOT / "responder" / "deploy" / "Caddyfile").is_file()
    for name in REPLICAS:
        assert set(compose["services"][name]["depends_on"]) <= set(compose["services"])


def test_a_replica_is_given_the_time_that_it_takes_to_end(compose: Compose) -> None:
    seconds = int(compose["services"]["responder-1"]["stop_grace_period"].removesuffix("s"))
    assert seconds > STOP_SECONDS + NOT_READY_SECONDS
