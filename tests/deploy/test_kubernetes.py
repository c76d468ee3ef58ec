"""The Kubernetes manifests: valid, hardened, and running what the image and the settings are."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.adapters.package_texts import DEPLOY
from responder.service.app import NOT_READY_SECONDS, STOP_SECONDS
from responder.settings.settings import Settings
from responder.store.database.engines import parse
from tests.deploy.replicas import (
    OTHER_RULES,
    RULES,
    instruction,
    lay_like_kubernetes,
    lost_deal,
    played,
    stop_the_workflow,
)
from tests.support.processes import eventually

Manifest = dict[str, Any]
MANIFESTS: list[Manifest] = [
    *yaml.safe_load_all(DEPLOY.text("kubernetes")),
    *yaml.safe_load_all(DEPLOY.text("postgres")),
]
KINDS = {(one["kind"], one["metadata"]["name"]): one for one in MANIFESTS}
DEPLOYMENT = KINDS["Deployment", "responder"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
(RESPONDER,) = POD["containers"]
DATABASE_POD = KINDS["StatefulSet", "postgres"]["spec"]["template"]["spec"]
(POSTGRES,) = DATABASE_POD["containers"]
VALIDATOR = shutil.which("kubernetes-validate")


def given(container: Manifest) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def seconds(probe: str) -> int:
    found = RESPONDER[probe]
    return int(found["periodSeconds"] * found.get("failureThreshold", 3))


@pytest.mark.skipif(VALIDATOR is None, reason="kubernetes-validate (of PyPI) is not installed")
@pytest.mark.parametrize("name", ["kubernetes", "postgres"])
def test_the_schemas_of_kubernetes_hold(name: str, tmp_path: Path) -> None:
    assert VALIDATOR is not None
    file = tmp_path / f"{name}.yaml"
    file.write_text(DEPLOY.text(name))
    done = subprocess.run(
        [VALIDATOR, "--strict", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("pod", [POD, DATABASE_POD], ids=["responder", "postgres"])
def test_pods_run_as_nobody_and_may_do_nothing(pod: Manifest) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {one["name"] for one in container["volumeMounts"]} <= {
        *(one["name"] for one in pod.get("volumes", ())),
        "data",
    }


def test_a_pod_is_the_user_of_the_image_and_can_read_its_secrets() -> None:
    user, group = map(int, instruction("USER").split(":"))
    assert POD["securityContext"]["runAsUser"] == user
    assert POD["securityContext"]["runAsGroup"] == POD["securityContext"]["fsGroup"] == group
    (secret,) = (one["secret"] for one in POD["volumes"] if "secret" in one)
    assert secret["defaultMode"] == 0o440


def test_what_kubernetes_sets_by_itself_is_no_setting_of_ours() -> None:
    # a Service `responder` makes RESPONDER_PORT=tcp://… in every pod beside it
    assert any(kind == "Service" and name == "responder" for kind, name in KINDS)
    assert POD["enableServiceLinks"] is False


def test_its_variables_are_settings_and_fit_its_ports_volumes_and_database() -> None:
    ours = {name: value for name, value in given(RESPONDER).items() if name != "PGPASSWORD"}
    assert set(ours) <= {f"RESPONDER_{name.upper()}" for name in Settings.model_fields}
    ports = {one["name"]: one["containerPort"] for one in RESPONDER["ports"]}
    assert ports["events"] == int(instruction("EXPOSE")) == Settings.model_fields["port"].default
    assert ports["admin"] == int(ours["RESPONDER_ADMIN_PORT"])
    scraped = DEPLOYMENT["template"]["metadata"]["annotations"]["prometheus.io/port"]
    assert int(scraped) == ports["admin"]
    mounted = {one["mountPath"] for one in RESPONDER["volumeMounts"]}
    assert mounted == {"/rules", ours["RESPONDER_SECRETS_DIR"]}
    database = parse(ours["RESPONDER_DATABASE_URL"])
    assert ("Service", database.host) in KINDS
    assert database.username == database.database == given(POSTGRES)["POSTGRES_USER"]


def test_a_service_and_an_ingress_lead_to_the_pods() -> None:
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    assert DEPLOYMENT["selector"]["matchLabels"] == labels
    service = KINDS["Service", "responder"]["spec"]
    assert service["selector"] == labels
    assert {one["targetPort"] for one in service["ports"]} == {"events", "admin"}
    budget = KINDS["PodDisruptionBudget", "responder"]["spec"]
    assert budget["selector"]["matchLabels"] == labels
    (rule,) = KINDS["Ingress", "responder"]["spec"]["rules"]
    open_to_all = {one["path"]: one["backend"]["service"] for one in rule["http"]["paths"]}
    to_events = {"name": "responder", "port": {"name": "events"}}
    assert open_to_all == {"/events": to_events, "/app": to_events}


def test_no_event_meets_a_replica_that_has_gone() -> None:
    assert DEPLOYMENT["replicas"] >= 2
    assert DEPLOYMENT["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    *_, waits = RESPONDER["lifecycle"]["preStop"]["exec"]["command"]
    needed = float(waits) + NOT_READY_SECONDS + STOP_SECONDS
    assert POD["terminationGracePeriodSeconds"] > needed
    assert seconds("startupProbe") >= 120  # a migration under load
    assert seconds("readinessProbe") <= 10 < seconds("livenessProbe")


def test_two_replicas_run_as_the_manifest_says(postgres_url: str, tmp_path: Path) -> None:
    with lost_deal() as (sandbox, secrets):
        lay_like_kubernetes(tmp_path / "secrets", {**secrets, "PGPASSWORD": "unused\n"})
        lay_like_kubernetes(tmp_path / "rules", {"rules.yaml": RULES})
        mounts = {"/secrets": tmp_path / "secrets", "/rules": tmp_path / "rules"}
        with played(tmp_path, given(RESPONDER), mounts, postgres_url, 2) as replicas:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = RESPONDER[probe]["httpGet"]["path"]
                assert [one.get(path)[0] for one in replicas] == [200, 200]
            assert [one.get("/metrics")[0] for one in replicas] == [404, 404]
            stop_the_workflow(sandbox, replicas)
            lay_like_kubernetes(tmp_path / "rules", {"rules.yaml": OTHER_RULES})

            def taken_up() -> bool | None:
                shown = [one.get("/metrics", admin=True)[1] for one in replicas]
                return all(b'rule="also-lost"' in one for one in shown) or None

            eventually(taken_up, seconds=30, why=replicas[0].log.read_text)
            for one in replicas:
                one.process.send_signal(signal.SIGTERM)
            assert [one.process.wait(20) for one in replicas] == [0, 0]
