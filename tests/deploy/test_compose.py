"""compose.yaml and Caddyfile fit the Dockerfile, the settings and what the program answers."""

import os
import re
import shutil
import subprocess
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
from tests.deploy.replicas import (
    DOCKERFILE,
    RULES,
    instruction,
    lost_deal,
    played,
    stop_the_workflow,
)
from tests.support.processes import eventually, free_port
from tests.support.proxies import CADDY, caddy
from tests.support.uvicorn_thread import connected, parsed

ROOT = Path(__file__).parents[2]
CADDYFILE = DEPLOY.text("caddyfile")
SECRET_PATH = "a-secret-path-0001"
VALIDATOR = shutil.which("check-jsonschema")
Compose = dict[str, Any]
OPEN = ("/events", "/events/word", "/app/main")
CLOSED = ("/", "/metrics", "/readyz", "/decisions", "/app", "/eventsx", "/events/../metrics")
REPLICAS = ("responder-1", "responder-2", "responder-3")


@pytest.fixture(scope="module")
def compose() -> Compose:
    loaded: Compose = yaml.safe_load(DEPLOY.text("compose"))
    return loaded


@pytest.mark.skipif(VALIDATOR is None, reason="check-jsonschema (of PyPI) is not installed")
def test_the_schema_of_compose_holds(tmp_path: Path) -> None:
    assert VALIDATOR is not None
    file = tmp_path / "compose.yaml"
    file.write_text(DEPLOY.text("compose"))
    done = subprocess.run(
        [VALIDATOR, "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_three_replicas_run_what_the_image_runs(compose: Compose) -> None:
    for name in REPLICAS:
        replica = compose["services"][name]
        assert replica["image"] == "${RESPONDER_IMAGE:-responder}"
        assert "build" not in replica  # it would be built where another image is named
        assert "command" not in replica
        assert "entrypoint" not in replica
        assert "user" not in replica
    assert instruction("ENTRYPOINT") == '["responder"]'
    assert instruction("CMD") == '["serve"]'


def test_one_replica_shows_the_pages_once_it_is_written_as_the_page_says(compose: Compose) -> None:
    said = re.search(r"`(responder-1: \{.*\})`", DOCS.text("deploying"))
    assert said is not None
    text = DEPLOY.text("compose").replace("responder-1: *responder", said[1])
    shown = {**compose["services"]["responder-2"], "ports": ["127.0.0.1:8001:8001"]}
    assert yaml.safe_load(text)["services"]["responder-1"] == shown


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
    (health,) = re.findall(r"health_uri (.*)", CADDYFILE)

    async def ready() -> tuple[bool, dict[str, object]]:
        return True, {}

    application = other_routes(ready, Metrics(), None)
    assert health in [route.path for route in application.routes if isinstance(route, Route)]


def answer(port: int, path: str) -> int:
    """Return the status with which the proxy answers a request for a path."""
    with connected(port) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return parsed(connection.recv(65536)).status


@pytest.mark.skipif(CADDY is None, reason="caddy is not installed")
def test_caddy_finds_the_caddyfile_valid(tmp_path: Path) -> None:
    assert CADDY is not None
    file = tmp_path / "Caddyfile"
    file.write_text(CADDYFILE.replace("request_buffers 70KiB", ""))  # Debian's does not know it yet
    homes = dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(tmp_path))
    done = subprocess.run(
        [CADDY, "validate", "--adapter", "caddyfile", "--config", file],
        env=os.environ | homes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


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
        assert {path: answer(port, path) for path in OPEN} == dict.fromkeys(OPEN, 503)
        assert {path: answer(port, path) for path in CLOSED} == dict.fromkeys(CLOSED, 404)
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


def test_replicas_may_do_nothing_but_their_work(compose: Compose) -> None:
    for name in REPLICAS:
        replica = compose["services"][name]
        assert replica["read_only"] is True
        assert replica["cap_drop"] == ["ALL"]
        assert replica["security_opt"] == ["no-new-privileges:true"]


def test_replicas_run_as_the_file_says(compose: Compose, postgres_url: str, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES)
    (mount,) = compose["services"]["responder-1"]["volumes"]
    folder, at, _ = mount.split(":")
    given = compose["services"]["responder-1"]["environment"]
    with lost_deal() as (sandbox, in_the_env_file):
        mounts = {at: tmp_path / folder}
        with played(tmp_path, given | in_the_env_file, mounts, postgres_url, 2) as replicas:
            stop_the_workflow(sandbox, replicas)
