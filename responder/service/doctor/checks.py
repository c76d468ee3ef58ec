"""Judges what `doctor` has read of this installation itself: settings, rules, database.

Everything here is a function from values to findings; the reading is in `examination`. A *problem*
keeps the product from doing its work or from keeping a promise; a *warning* is something to know.
Each has advice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from responder.model import Mode
from responder.rules.revision import shown
from responder.rules.ruleset import Ruleset
from responder.rules.yaml_positions import Mistake
from responder.store.canonical_json import instant_text
from responder.store.database.durability import Durability, Surroundings

BACKLOG_AGE = timedelta(minutes=10)

_MIB = 1024 * 1024
_LITTLE_SPACE, _TOO_LITTLE_SPACE = 1024 * _MIB, 100 * _MIB
_NETWORKS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "ocfs2",
     "gfs2", "virtiofs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"}
)  # fmt: skip
_PASSING = {
    "tmpfs": "in memory: a restart of the machine loses it",
    "ramfs": "in memory: a restart of the machine loses it",
    "overlay": "in a container's own layer, which goes when the container is replaced",
}


class Status(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check. `advice` says what to do, unless all is well."""

    check: str
    status: Status
    message: str
    advice: str | None = None
    portal: str | None = None


def fine(check: str, message: str) -> Finding:
    """Return a finding that something is as it should be."""
    return Finding(check=check, status=Status.OK, message=message)


def warning(check: str, message: str, advice: str) -> Finding:
    """Return a finding that somebody should know of."""
    return Finding(check=check, status=Status.WARNING, message=message, advice=advice)


def problem(check: str, message: str, advice: str) -> Finding:
    """Return a finding that something does not work."""
    return Finding(check=check, status=Status.PROBLEM, message=message, advice=advice)


def wrong_settings(problems: Iterable[str]) -> list[Finding]:
    """Return a problem for each wrong variable."""
    advice = "Correct it in the environment, in .env or in the secrets directory."
    return [problem("settings", text, advice) for text in problems]


def right_settings(mode: Mode, portals: Sequence[str]) -> list[Finding]:
    """Return what the settings amount to: the mode and the portals."""
    does = (
        "rules in enforce mode kill, and in approve mode once somebody approves"
        if mode is Mode.ENFORCE
        else "nothing is killed, whatever a rule's own mode"
    )
    return [fine("settings", f"mode {mode.value}: {does}; portals: {', '.join(sorted(portals))}")]


def receiving(absent: Sequence[str]) -> list[Finding]:
    """Return a warning where uvicorn lacks parts that fast receiving is built on."""
    if not absent:
        return []
    advice = "Install the version of uvicorn that responder asks for."
    message = f"this uvicorn lacks {', '.join(absent)}: events are received in a slower way"
    return [warning("receiving", message, advice)]


def broken_rules(mistakes: Sequence[Mistake], file: Path) -> list[Finding]:
    """Return the problem of a rules file that cannot be loaded."""
    errors = [mistake for mistake in mistakes if mistake.severity == "error"] or list(mistakes)
    first = errors[0]
    more = f", the first of {len(errors)} mistakes" if len(errors) > 1 else ""
    where = f"{first.file}:{first.line}:{first.column}"
    return [
        problem(
            "rules",
            f"{where}: {first.message}{more}",
            f"`responder check {file}` shows every mistake with its place.",
        )
    ]


def unread_rules(file: Path, why: str) -> list[Finding]:
    """Return the problem of a rules file that cannot be read."""
    return [
        problem(
            "rules", f"{file} cannot be read: {why}", "Set RESPONDER_RULES to a file we may read."
        )
    ]


def loaded_rules(ruleset: Ruleset, file: Path, mode: Mode, now: datetime) -> list[Finding]:
    """Return how many rules act, and what is doubtful about them."""
    acting = [r for r in ruleset.rules if r.acts and not r.disabled and not r.expired(now)]
    enforcing = [rule for rule in acting if rule.mode is Mode.ENFORCE]
    message = (
        f"revision {shown(ruleset.revision)}: {len(acting)} of {len(ruleset.rules)} rules "
        f"kill or terminate, {len(enforcing)} of them in enforce mode"
    )
    asking = sum(rule.mode is Mode.APPROVE for rule in acting)
    message += f", {asking} once somebody approves" if asking else ""
    if not acting:
        found = [warning("rules", message, "Without a kill or terminate rule nothing is decided.")]
    elif mode is Mode.ENFORCE and not enforcing and not asking:
        advice = "Give a rule `mode: enforce` when its would_kill decisions are right."
        found = [warning("rules", f"{message}: nothing is killed", advice)]
    else:
        found = [fine("rules", message)]
    return [*found, *_doubtful_rules(ruleset, file, now)]


def _doubtful_rules(ruleset: Ruleset, file: Path, now: datetime) -> list[Finding]:
    found = []
    expired = [rule.id for rule in ruleset.rules if rule.expired(now) and not rule.disabled]
    if expired:
        advice = "Give them a later date, or take them out."
        found.append(warning("rules", f"expired: {', '.join(expired)}", advice))
    if ruleset.warnings:
        first = ruleset.warnings[0]
        text = f"{first.file}:{first.line}:{first.column}: {first.message}"
        advice = f"`responder check {file}` shows every warning with its place."
        found.append(warning("rules", text, advice))
    return found


def unusable_database(why: str) -> list[Finding]:
    """Return the problem of a database that cannot be opened or read."""
    advice = "Nothing can be received until it can: events get 503. See RESPONDER_DATABASE_URL."
    return [problem("database", why, advice)]


def moved_log(place: str | None) -> list[Finding]:
    """Return the problem of a log that was moved elsewhere: nothing more is written into this."""
    if place is None:
        return []
    advice = "Set RESPONDER_DATABASE_URL to that database; this one can still be read."
    return [problem("database", f"this log was moved to {place}, and refuses all writes", advice)]


def database(found: Durability) -> list[Finding]:
    """Return whether what is acknowledged will survive a power cut."""
    if found.surroundings is None:
        return [_server(found), _schema(found)]
    place = found.surroundings
    if not place.folder_exists or not place.folder_is_writable:
        what = "is not writable" if place.folder_exists else "does not exist"
        advice = (
            "Make the folder, writable for the user that serves, or set RESPONDER_DATABASE_URL."
        )
        return [problem("database", f"the folder {place.path.parent} {what}", advice)]
    checks = (
        _file(found, place), _journal(found), _schema(found) if place.exists else None,
        _permissions(place), _file_system(place), _space(place),
    )  # fmt: skip
    return [finding for finding in checks if finding is not None]


def _server(found: Durability) -> Finding:
    message = f"PostgreSQL {found.library}"
    if found.switched_off:
        off = " and ".join(found.switched_off)
        advice = "Turn it on in postgresql.conf: without it a power cut loses what we acknowledged."
        return problem("database", f"{message} with {off} off", advice)
    return fine("database", f"{message}; it keeps what it commits")


def _file(found: Durability, place: Surroundings) -> Finding:
    message = f"SQLite {found.library}, {place.path}"
    return fine(
        "database", message if place.exists else f"{message}: `responder serve` will make it"
    )


def _journal(found: Durability) -> Finding:
    mode = found.journal_mode or found.wanted_journal
    if mode != found.wanted_journal:
        return problem(
            "journal",
            f"the journal mode is {mode}, and SQLite did not change it to {found.wanted_journal}",
            "Put the file on a local disk: a network's file system cannot hold its journal.",
        )
    if mode == "wal":
        return fine("journal", f"write-ahead log, which SQLite {found.library} keeps safely")
    return warning(
        "journal",
        f"rollback journal: SQLite {found.library} is older than 3.51.3 and could corrupt a "
        "write-ahead log; it is safe, and slower",
        "Install pysqlite3 or a newer SQLite for more events a second.",
    )


def _schema(found: Durability) -> Finding:
    if found.schema_is_current:
        return fine("schema", f"revision {found.schema}, which this version serves")
    what = "there is none yet" if found.schema is None else f"revision {found.schema} is older"
    advice = "`responder serve` brings it up to date when it starts."
    return warning("schema", what, advice)


def _permissions(place: Surroundings) -> Finding | None:
    if not place.open_to_others:
        return fine("permissions", "the file is its owner's alone") if place.exists else None
    names = ", ".join(place.open_to_others)
    advice = f"It holds personal data: chmod 600 {place.path}*"
    return warning("permissions", f"other users may open {names}", advice)


def _file_system(place: Surroundings) -> Finding:
    kind = place.filesystem
    if kind in _NETWORKS:
        return problem(
            "file_system",
            f"{place.path.parent} is on a network ({kind}), where SQLite's locks do not hold",
            "Put the file on a local disk, or use PostgreSQL.",
        )
    if kind in _PASSING:
        advice = "Put the file on a disk or a volume that lasts."
        return warning("file_system", f"{place.path.parent} is {_PASSING[kind]}", advice)
    return fine("file_system", f"{kind or 'of an unknown kind'}, not known to be a network's")


def _space(place: Surroundings) -> Finding:
    free = place.free_bytes or 0
    message = f"{free // _MIB:,} MiB are free at {place.path.parent}"
    advice = "Make room: on a full disk events get 503, and are lost."
    if free < _TOO_LITTLE_SPACE:
        return problem("space", message, advice)
    return warning("space", message, advice) if free < _LITTLE_SPACE else fine("space", message)


def backlog(waiting: int, oldest_at: datetime | None, now: datetime) -> list[Finding]:
    """Return how many deliveries of a portal wait, and whether too long."""
    if not waiting or oldest_at is None:
        return [fine("backlog", "no delivery waits")]
    minutes = max(0, (now - oldest_at) // timedelta(minutes=1))
    message = f"{waiting} deliveries wait, the oldest for {minutes} min"
    if now - oldest_at < BACKLOG_AGE:
        return [fine("backlog", message)]
    return [warning("backlog", message, "See that `responder serve` runs, and what its log says.")]


def paused(since: tuple[datetime, str] | None) -> list[Finding]:
    """Return whether everything is paused, and by whom."""
    if since is None:
        return [fine("paused", "nothing is paused")]
    at, by = since
    message = f"all kills are paused since {instant_text(at)} by {by}"
    return [warning("paused", message, "`responder resume` has what is held judged afresh.")]


def tripped(why: Mapping[str, str]) -> list[Finding]:
    """Return a warning for each tripped rule, with its reason."""
    if not why:
        return [fine("tripped", "no rule is")]
    return [
        warning(
            "tripped",
            f"rule {rule} does nothing: {reason}",
            f"When it is right, `responder rearm {rule}` has what it held judged afresh.",
        )
        for rule, reason in why.items()
    ]
