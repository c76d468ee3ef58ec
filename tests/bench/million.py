"""Fills a database with as many decisions as a busy portal makes in a year, in seconds.

The rows are those of the real thing, in bulk: half a million evaluations, each with a workflow that
a rule condemned and a `none` for the rest, and their intents and outcomes. The chain's hashes are
made up: pages read the log, they do not prove it.
"""
# ruff: noqa: S608 -- the statements are made of this file's own words

from datetime import datetime, timedelta

from sqlalchemy import Connection

from responder.store import canonical_json, rulesets
from responder.store.database.columns import micros
from responder.store.database.database import Database
from responder.store.database.tables import decisions

EVALUATIONS = 500_000
RULES = 20
STEP = timedelta(seconds=60)

# most of what is condemned is killed, some is only observed
_OUTCOMES = """
CASE i % 20 WHEN 0 THEN 'would_kill' WHEN 1 THEN 'would_kill' WHEN 2 THEN 'left'
            WHEN 3 THEN 'already_gone' WHEN 4 THEN 'cleared' ELSE 'killed' END"""

_BODY = canonical_json.canonical(
    {
        "trigger": "event",
        "event": "ONCRMDEALUPDATE",
        "event_names": ["ONCRMDEALUPDATE"],
        "events": 1,
        "received_at": "2026-09-24T12:00:00.000Z",
        "document": {
            "kind": "deal",
            "item_id": "%DEAL%",
            "triple": ["crm", "CCrmDocumentDeal", "DEAL_%DEAL%"],
        },
        "ruleset": "0123456789abcdef",
        "evidence": "0" * 64,
        "decisions": [
            {
                "workflow": {"id": "%WORKFLOW%", "template_id": "61"},
                "rule": "%RULE%",
                "because": "A lost deal needs no approval.",
                "action": "kill",
                "reason": None,
                "mode": "enforce",
                "outcome": "waiting",
                "detail": None,
                "conditions": [
                    {
                        "rule": "%RULE%",
                        "path": "if.deal.stage_semantic_id",
                        "test": "is F",
                        "holds": True,
                    },
                    {
                        "rule": "%RULE%",
                        "path": "if.workflow.template_id",
                        "test": "is 61",
                        "holds": True,
                    },
                ],
            },
            {
                "workflow": None,
                "rule": None,
                "because": None,
                "action": "none",
                "reason": "no_match",
                "mode": None,
                "outcome": None,
                "detail": None,
                "conditions": [],
            },
        ],
    }
)
_EVIDENCE = canonical_json.canonical(
    {
        "facts": {
            "deal.title": "Delivery of pumps, order %DEAL%",
            "deal.stage_semantic_id": "F",
            "deal.category_id": 2,
            "deal.opportunity": 52000,
            "deal.assigned_by_id": 7,
            "document.exists": True,
        },
        "unknown": {},
        "workflows": [
            {
                "workflow.id": "%WORKFLOW%",
                "workflow.template_id": "61",
                "workflow.started": "2026-09-20T10:00:00+03:00",
                "workflow.started_by": "7",
                "template.name": "Discount approval",
            },
            None,
        ],
        "values": [[["F", None], ["61", None]], []],
    }
)
_RULE = f"printf('rule-%02d', i % {RULES})"
_DEAL = "(i * 7919 % 90000 + 1)"
_WORKFLOW = "printf('%08x%06x.%08d', 1700000000 + i, i % 16777216, i)"
_AT = "(%BEGAN% + i * 60000000)"
_PORTAL = "CASE i % 10 WHEN 0 THEN 'second' ELSE 'main' END"


def _filled(template: str) -> str:
    quoted = "'" + template.replace("'", "''") + "'"
    for mark, value in (("%DEAL%", _DEAL), ("%WORKFLOW%", _WORKFLOW), ("%RULE%", _RULE)):
        quoted = f"replace({quoted}, '{mark}', {value})"
    return quoted


def _each(select: str, count: int) -> str:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    return f"{numbers} SELECT {select} FROM n"


def _statements(evaluations: int) -> list[str]:
    index = (
        "portal, seq, n, at, received_at, trigger, event, event_names, document, triple, "
        "workflow_id, template_id, rule, action, ruleset, outcome, receipt, concluded_at, "
        "verified_at, shadow, tries, calls, called_at, unknown_id, changed, concluded"
    )
    shared = (
        f"{_AT}, {_AT}, 'event', 'ONCRMDEALUPDATE', '[\"ONCRMDEALUPDATE\"]', "
        f"'deal:' || {_DEAL}, '[\"deal\",\"' || {_DEAL} || '\","
        f'"crm","CCrmDocumentDeal","DEAL_\' || {_DEAL} || \'"]\''
    )
    act = (
        f"{_PORTAL}, i * 3 - 2, 1, {shared}, {_WORKFLOW}, '61', {_RULE}, "
        "CASE i % 20 WHEN 2 THEN 'leave' ELSE 'kill' END, '0123456789abcdef', "
        f"{_OUTCOMES}, CASE WHEN i % 20 > 4 THEN 1 END, {_AT} + 200000, "
        f"CASE WHEN i % 20 > 4 THEN {_AT} + 3000000 END, 0, 0, "
        f"CASE WHEN i % 20 > 4 THEN 1 ELSE 0 END, CASE WHEN i % 20 > 4 THEN {_AT} END, 0, "
        "i * 3, i * 3"
    )
    rest = (
        f"{_PORTAL}, i * 3 - 2, 2, {shared}, NULL, NULL, NULL, 'none', '0123456789abcdef', "
        f"NULL, NULL, {_AT}, NULL, 0, 0, 0, NULL, 0, i * 3 - 2, NULL"
    )
    decision = f"'\"decision\":\"' || {_PORTAL} || '-' || (i * 3 - 2) || '-1\"'"
    into_entries = "INSERT INTO entries (portal, seq, kind, at, body, hash) "
    into_evidence = "INSERT INTO evidence (portal, seq, salt, content) "
    hashed = "printf('%064d', i)"
    return [
        f"INSERT INTO decisions ({index}) " + _each(act, evaluations),
        f"INSERT INTO decisions ({index}) " + _each(rest, evaluations),
        into_entries
        + _each(
            f"{_PORTAL}, i * 3 - 2, 'evaluation', {_AT}, {_filled(_BODY)}, {hashed}", evaluations
        ),
        into_evidence + _each(f"{_PORTAL}, i * 3 - 2, 's', {_filled(_EVIDENCE)}", evaluations),
        into_entries
        + _each(
            f"{_PORTAL}, i * 3 - 1, 'intent', {_AT}, "
            f'\'{{"action":"kill","call":1,\' || {decision} || \'}}\', {hashed}',
            evaluations,
        ),
        into_entries
        + _each(
            f"{_PORTAL}, i * 3, 'outcome', {_AT} + 200000, "
            f'\'{{\' || {decision} || \',"detail":null,"outcome":"killed","receipt":true}}\', '
            f"{hashed}",
            evaluations,
        ),
        f"INSERT INTO chains VALUES ('main', {evaluations * 3}, '{'0' * 64}')",
    ]


def fill(database: Database, rules: str, end: datetime, *, evaluations: int = EVALUATIONS) -> None:
    """Write two decisions for each evaluation; the newest is made at `end`."""
    began = str(micros(end - evaluations * STEP))

    def write(tx: Connection) -> None:
        rulesets.keep(tx, "0123456789abcdef", rules, end)
        statistics = tx.exec_driver_sql("SELECT tbl, idx, stat FROM sqlite_stat1").all()
        for index in decisions.indexes:
            index.drop(tx)
        for statement in _statements(evaluations):
            tx.exec_driver_sql(statement.replace("%BEGAN%", began))
        for index in decisions.indexes:
            index.create(tx)
        tx.exec_driver_sql("DELETE FROM sqlite_stat1")  # to drop an index drops what is known of it
        for one in statistics:
            tx.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", tuple(one))

    database.write(write)
