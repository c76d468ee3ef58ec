"""Whoever has the database's password hides what was done a minute ago by a prune of his own."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main
from responder.journal import chain
from responder.journal import record as journal
from responder.journal.upkeep.prune import Pruned, prune
from responder.model import Outcome
from responder.store import canonical_json, rulesets
from responder.store.database.columns import micros
from responder.store.database.database import Database
from tests.support.evaluations import REVISION, RULES, evaluation, kill

DAY = timedelta(days=1)
AGES = (500, 450, 420, 300, 200, 100, 30, 3, 0, 0)  # of the entries of the log, in days
Audit = Callable[..., Result]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def log(tmp_path: Path, migrated_file: Path) -> Path:
    """Give a log of ten evaluations, the last two of a minute ago."""
    path = tmp_path / "responder.db"
    path.write_bytes(migrated_file.read_bytes())
    with closing(Database(f"sqlite:///{path}")) as database:
        database.open()
        database.write(lambda tx: rulesets.keep(tx, REVISION, RULES, now()))
        for n, age in enumerate(AGES):
            at = now() - age * DAY - timedelta(minutes=1)
            made = replace(evaluation(kill(f"w{n}", Outcome.WOULD_KILL)), at=at, received_at=None)
            database.write(partial(journal.record, evaluation=made))
    return path


@pytest.fixture
def audit(log: Path) -> Audit:
    """Run an auditor's command on that log."""

    def invoke(*words: str) -> Result:
        environment = {"RESPONDER_DATABASE_URL": f"sqlite:///{log}"}
        return CliRunner().invoke(main, ["audit", *words], env=environment)

    return invoke


@pytest.fixture
def kept(audit: Audit, tmp_path: Path) -> Path:
    """Keep a checkpoint of the log as it is."""
    file = tmp_path / "checkpoint.json"
    file.write_text(audit("checkpoint").stdout)
    return file


def without_times(kept: Path, made_at: str | None = None) -> None:
    """Make it a checkpoint as an older version wrote it."""
    told = json.loads(kept.read_text())
    for head in told["portals"].values():
        head.pop("at", None)
    kept.write_text(json.dumps({**told, "at": made_at or told["at"]}))


def append(db: sqlite3.Connection, kind: str, at: datetime, body: Mapping[str, object]) -> None:
    """Append an entry as the program does, with the right hash."""
    (previous, seq) = db.execute("SELECT hash, seq FROM chains WHERE portal = 'main'").fetchone()
    text = canonical_json.canonical(body)
    digest = chain.entry_hash(previous, "main", seq + 1, kind, at, text)
    entry = ("main", seq + 1, kind, micros(at), text, digest)
    db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entry)
    db.execute("UPDATE chains SET seq = ?, hash = ? WHERE portal = 'main'", (seq + 1, digest))


def forge(
    log: Path,
    through: int,
    *,
    days: object = 1,
    at: datetime | None = None,
    before: datetime | None = None,
    between: datetime | None = None,
) -> None:
    """Delete what is in the log up to a number, and append what says that it was pruned.

    `between` is the instant of an entry that is appended before that.
    """
    at = at or now()
    before = before or at - (days if isinstance(days, int) else 1) * DAY
    with closing(sqlite3.connect(log)) as db, db:
        if between is not None:
            append(db, "control", between, {"control": "nothing"})
        query = "SELECT hash FROM entries WHERE portal = 'main' AND seq = ?"
        (digest,) = db.execute(query, [through]).fetchone()
        body = {"through": through, "hash": digest, "before": before, "entries": through}
        append(db, "prune", at, body if days is None else {**body, "days": days})
        for table in ("entries", "evidence", "decisions", "watched"):
            db.execute(f"DELETE FROM {table} WHERE portal = 'main' AND seq <= {through}")  # noqa: S608


def pruned(log: Path, keep: timedelta, most: int = 1000) -> Pruned | None:
    with closing(Database(f"sqlite:///{log}")) as database:
        database.open()
        return database.write(
            lambda tx: prune(tx, "main", before=now() - keep, at=now(), most=most)
        )


def test_kills_of_a_minute_ago_cannot_be_pruned_away(log: Path, audit: Audit, kept: Path) -> None:
    forge(log, through=10)
    done = audit("verify", "--checkpoint", str(kept))
    assert done.exit_code == 1
    assert done.stdout == (
        "main-11: it prunes the log, and does not leave the last entry that was old enough\n"
    )


def test_an_entry_that_is_dated_back_does_not_help(log: Path, audit: Audit, kept: Path) -> None:
    forge(log, through=10, between=now() - 2 * DAY)
    assert audit("verify").exit_code == 0  # in itself it holds
    done = audit("verify", "--checkpoint", str(kept))
    assert done.exit_code == 1
    assert done.stdout == (
        "main-12: it says that entries up to 10 were pruned, "
        "but a checkpoint shows that 10 was not old enough\n"
    )


@pytest.mark.parametrize(
    ("through", "forged", "why"),
    [
        (9, {}, "does not leave the last entry that was old enough"),
        (8, {}, "does not leave the last entry that was old enough"),
        (9, {"days": 0}, "younger than the days that it says were kept"),
        (9, {"days": -1}, "younger than the days that it says were kept"),
        (9, {"days": 1, "before": 0}, "younger than the days that it says were kept"),
        (9, {"days": 400, "at": 401}, "is dated in the future"),
        (9, {"days": 1, "at": 2}, "is dated in the future"),
        (9, {"days": None}, "does not say how many days were kept"),
        (10, {"days": None}, "a checkpoint shows that 10 was not old enough"),
        (9, {"days": True}, "cannot be read any more"),
        (9, {"days": "400"}, "cannot be read any more"),
    ],
)
def test_no_other_forged_prune_hides_them_from_a_checkpoint(
    log: Path,
    audit: Audit,
    kept: Path,
    through: int,
    forged: dict[str, object],
    why: str,
) -> None:
    in_days = {
        name: now() + value * DAY
        for name, value in forged.items()
        if name in ("at", "before") and isinstance(value, int)
    }
    forge(log, through, **{**forged, **in_days})  # type: ignore[arg-type]
    done = audit("verify", "--checkpoint", str(kept))
    assert done.exit_code == 1, done.output
    assert why in done.stdout


def test_what_was_pruned_as_it_should_be_holds_and_says_how_long_it_was_kept(
    log: Path, audit: Audit, kept: Path
) -> None:
    assert pruned(log, 400 * DAY) == Pruned(2, 2, more=False)
    done = audit("verify", "--checkpoint", str(kept))
    assert done.exit_code == 0, done.output
    assert "1 checkpoint agrees" in done.stdout
    assert "entries up to 2 were pruned, older than 400 days" in done.stdout
    assert json.loads(audit("verify", "--json").stdout)["kept_days"] == 400


def test_a_checkpoint_whose_entry_was_pruned_in_its_time_agrees_or_is_too_old(
    log: Path, audit: Audit, tmp_path: Path
) -> None:
    hashes = [json.loads(line) for line in audit("export").stdout.splitlines()]
    for seq, code, said in ((2, 0, "1 checkpoint agrees"), (1, 2, "too old to prove anything")):
        entry = hashes[seq - 1]
        at = datetime.fromtimestamp(entry["at"] / 1e6, UTC)
        head = {"seq": seq, "hash": entry["hash"], "at": canonical_json.instant_text(at)}
        old = tmp_path / f"{seq}.json"
        old.write_text(json.dumps({"portals": {"main": head}}))
        if seq == 2:
            assert pruned(log, 400 * DAY) == Pruned(2, 2, more=False)
        done = audit("verify", "--checkpoint", str(old))
        assert (done.exit_code, said in done.output) == (code, True), done.output


def test_a_checkpoint_of_an_older_version_still_finds_what_it_can(
    log: Path, audit: Audit, kept: Path
) -> None:
    without_times(kept)
    assert "1 checkpoint agrees" in audit("verify", "--checkpoint", str(kept)).stdout
    forge(log, through=10, between=now() - 2 * DAY)
    done = audit("verify", "--checkpoint", str(kept))
    assert done.exit_code == 2  # it cannot tell how old entry 10 was, and does not agree
    assert "agrees" not in done.stdout
    without_times(kept, made_at=canonical_json.instant_text(now() - 3 * DAY))
    assert audit("verify", "--checkpoint", str(kept)).exit_code == 0  # all of it is older than that


def test_a_prune_of_an_older_version_is_good_for_what_it_was(
    log: Path, audit: Audit, kept: Path
) -> None:
    forge(log, through=2, days=None, before=now() - 400 * DAY)
    done = audit("verify")
    assert done.exit_code == 0
    assert done.stdout.endswith("entries up to 2 were pruned\n")
    without_times(kept)
    assert audit("verify", "--checkpoint", str(kept)).exit_code == 0
    kept.write_text(audit("checkpoint").stdout)
    assert audit("verify", "--checkpoint", str(kept)).exit_code == 0


def test_the_service_s_log_has_the_times_too(kept: Path) -> None:
    head = json.loads(kept.read_text())["portals"]["main"]
    assert set(head) == {"seq", "hash", "at"}
    assert datetime.fromisoformat(head["at"]) > now() - timedelta(hours=1)
