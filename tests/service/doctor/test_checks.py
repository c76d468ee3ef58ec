"""What is made of the settings, the rules, the database: each table has a row for each verdict."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.model import Mode
from responder.rules.ruleset import RulesError, load
from responder.service.doctor import checks
from responder.service.doctor.checks import Finding, Status
from responder.store.database.durability import Durability, Surroundings, filesystem_of
from tests.rules.make import a_rule, a_ruleset

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FILE = Path("rules.yaml")
MIB = 1024 * 1024

PLACE = Surroundings(
    path=Path("/data/responder.db"),
    exists=True,
    folder_exists=True,
    folder_is_writable=True,
    open_to_others=(),
    filesystem="ext4",
    free_bytes=5000 * MIB,
)
SQLITE = Durability(
    dialect="sqlite",
    library="3.53.1",
    journal_mode="wal",
    wanted_journal="wal",
    schema="0001",
    schema_is_current=True,
    surroundings=PLACE,
)
POSTGRES = Durability(
    dialect="postgresql",
    library="17.2",
    journal_mode=None,
    wanted_journal=None,
    schema="0001",
    schema_is_current=True,
)
OLD = replace(SQLITE, library="3.46.1", journal_mode="truncate", wanted_journal="truncate")


def statuses(found: list[Finding]) -> dict[str, str]:
    """Return what is not fine."""
    assert all((f.advice is None) == (f.status is Status.OK) for f in found)
    assert all("\n" not in f.message for f in found)
    return {f.check: f.status.value for f in found if f.status is not Status.OK}


def at(**changes: object) -> Durability:
    return replace(SQLITE, surroundings=replace(PLACE, **changes))  # type: ignore[arg-type]


DATABASES = {
    "SQLite as it should be": (SQLITE, {}),
    "PostgreSQL as it should be": (POSTGRES, {}),
    "an old SQLite is safe and slow": (OLD, {"journal": "warning"}),
    "a journal that SQLite would not change": (
        replace(SQLITE, journal_mode="delete"),
        {"journal": "problem"},
    ),
    "an older schema": (
        replace(SQLITE, schema="0000", schema_is_current=False),
        {"schema": "warning"},
    ),
    "no schema": (replace(POSTGRES, schema=None, schema_is_current=False), {"schema": "warning"}),
    "PostgreSQL that forgets": (
        replace(POSTGRES, switched_off=("fsync",)),
        {"database": "problem"},
    ),
    "a file others may read": (
        at(open_to_others=("responder.db",)),
        {"permissions": "warning"},
    ),
    "a network": (at(filesystem="nfs4"), {"file_system": "problem"}),
    "memory": (at(filesystem="tmpfs"), {"file_system": "warning"}),
    "a container's layer": (at(filesystem="overlay"), {"file_system": "warning"}),
    "no file system known": (at(filesystem=None), {}),
    "little space": (at(free_bytes=500 * MIB), {"space": "warning"}),
    "too little space": (at(free_bytes=MIB), {"space": "problem"}),
    "no folder": (at(folder_exists=False, exists=False), {"database": "problem"}),
    "a folder that is not ours": (at(folder_is_writable=False), {"database": "problem"}),
    "no file yet": (replace(at(exists=False), journal_mode=None, schema=None), {}),
}


@pytest.mark.parametrize(("found", "wanted"), DATABASES.values(), ids=DATABASES)
def test_a_database_is_judged_by_whether_it_keeps_what_it_acknowledged(
    found: Durability, wanted: dict[str, str]
) -> None:
    assert statuses(checks.database(found)) == wanted


ACTING = "  - {{id: {id}, mode: {mode}, when: [deal.updated], if: {{workflow.template_id: 61}}, then: kill{more}}}\n"  # noqa: E501
GUARD = "  - {id: keep, if: {deal.company_id: 17}, then: leave}\n"


def rule(mode: str = "observe", more: str = "", id: str = "a") -> str:  # noqa: A002
    return ACTING.format(id=id, mode=mode, more=more)


RULES = {
    "a rule that watches": (rule(), Mode.OBSERVE, {}),
    "a rule that would act, were the mode set": (rule("enforce"), Mode.OBSERVE, {}),
    "both keys": (rule("enforce"), Mode.ENFORCE, {}),
    "one key": (rule(), Mode.ENFORCE, {"rules": "warning"}),
    "only guards": (GUARD, Mode.OBSERVE, {"rules": "warning"}),
    "only a disabled rule": (rule(more=", disabled: not now"), Mode.OBSERVE, {"rules": "warning"}),
    "an expired rule beside another": (
        rule("enforce") + rule(more=', expires: "2026-01-01"', id="b"),
        Mode.ENFORCE,
        {"rules": "warning"},
    ),
}


@pytest.mark.parametrize(("text", "mode", "wanted"), RULES.values(), ids=RULES)
def test_rules_are_judged_by_what_they_would_do(
    text: str, mode: Mode, wanted: dict[str, str]
) -> None:
    ruleset = load(f"version: 1\nrules:\n{text}".encode(), file="rules.yaml")
    found = checks.loaded_rules(ruleset, FILE, mode, NOW)
    assert statuses(found) == wanted
    assert f"revision {ruleset.revision[:16]}: " in found[0].message


def test_the_message_counts_the_rules_that_enforce() -> None:
    text = rule("enforce", id="a") + rule(id="b") + GUARD
    ruleset = load(f"version: 1\nrules:\n{text}".encode(), file="rules.yaml")
    found = checks.loaded_rules(ruleset, FILE, Mode.ENFORCE, NOW)[0]
    assert "2 of 3 rules kill or terminate, 1 of them in enforce mode" in found.message


def test_broken_rules_are_named_with_their_place() -> None:
    with pytest.raises(RulesError) as caught:
        load(b"version: 1\nrules:\n  - {id: a, unles: {}, than: kill}\n", file="rules.yaml")
    (found,) = checks.broken_rules(caught.value.mistakes, FILE)
    assert found.status is Status.PROBLEM
    assert found.message.startswith("rules.yaml:3:")
    assert "mistakes" in found.message
    assert "responder check rules.yaml" in str(found.advice)


@pytest.mark.parametrize(
    ("waiting", "minutes", "status"), [(0, 0, "ok"), (3, 9, "ok"), (3, 11, "warning")]
)
def test_a_backlog_may_be_short(waiting: int, minutes: int, status: str) -> None:
    oldest = NOW - timedelta(minutes=minutes) if waiting else None
    (found,) = checks.backlog(waiting, oldest, NOW)
    assert found.status.value == status


def test_what_is_withheld_is_said_with_the_way_out() -> None:
    assert statuses([*checks.paused(None), *checks.tripped({})]) == {}
    (pause,), (trip,) = (
        checks.paused((NOW, "anna")),
        checks.tripped({"lost-deal": "31 an hour"}),
    )
    assert statuses([pause, trip]) == {"paused": "warning", "tripped": "warning"}
    assert "2026-11-24T12:00:00.000Z by anna" in pause.message
    assert "responder rearm lost-deal" in str(trip.advice)


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /quick rw shared:5 - tmpfs tmpfs rw
31 22 0:27 / /mnt/my\\040share rw shared:6 master:2 - nfs4 server:/export rw
32 22 0:28 / /mnt/over rw - ext4 /dev/vdb rw
33 22 0:29 / /mnt/over rw - overlay overlay rw

a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/quickly", "ext4"),
        ("/quick", "tmpfs"),
        ("/quick/a/b", "tmpfs"),
        ("/mnt/my share/data", "nfs4"),
        ("/mnt/over", "overlay"),
    ],
)
def test_the_nearest_mount_names_the_file_system(folder: str, kind: str) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == kind


def test_without_a_table_of_mounts_no_file_system_is_known() -> None:
    assert filesystem_of(Path("/data"), "") is None


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            a_rule(mode="approve"),
            "1 of 1 rules kill or terminate, 0 of them in enforce mode, 1 once somebody approves",
        ),
        (a_rule(), "1 of 1 rules kill or terminate, 1 of them in enforce mode"),
    ],
)
def test_a_rule_that_asks_first_is_one_that_may_kill(rules: str, message: str) -> None:
    (found,) = checks.loaded_rules(a_ruleset(rules), FILE, Mode.ENFORCE, NOW)[:1]
    assert (found.status, found.message.partition(": ")[2]) == ("ok", message)
    (settings,) = checks.right_settings(Mode.ENFORCE, ["main"])
    assert "in approve mode once somebody approves" in settings.message
