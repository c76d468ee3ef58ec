"""Strategies for conditions of rules, and for facts as they may be read."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from hypothesis import strategies as st

from responder.model import Unknown
from responder.rules.facts.fields import Type
from responder.rules.facts.values import is_empty
from tests.rules.make import NOW

DENIED = Unknown("access was denied")
HEAD = """\
lists: {vips: [17, 204], stages: [NEW, WON]}
calendars:
  office: {timezone: Europe/Moscow, days: [mon, tue, wed, thu, fri], from: "09:00", to: "18:00"}
"""
TESTS = [
    "document.exists: {is: %t}",
    "document.exists: {is_not: %t}",
    "deal.closed: {is: %t}",
    "deal.closed: {exists: %t}",
    "deal.company_id: {exists: %t}",
    "deal.company_id: {is: %n}",
    "deal.company_id: {none_of: [%n, %n]}",
    "deal.company_id: {in_list: vips}",
    "deal.company.title: {is: NEW}",
    "deal.company.title: {is_not: NEW}",
    "deal.company.title: {exists: %t}",
    "deal.company.uf_a: {none_of: [%n, %n]}",
    "deal.category_id: {one_of: [%n, %n]}",
    "deal.category_id: {is_not: %n}",
    "deal.probability: {over: %n}",
    "deal.probability: {at_least: %n}",
    "deal.probability: {below: %n}",
    "deal.probability: {at_most: %n}",
    "deal.probability: {is: %n}",
    "deal.probability: {between: [2, 5]}",
    "deal.stage_id: {in_list: stages}",
    "deal.stage_id: {is_not: WON}",
    "deal.stage_id: {contains: E}",
    "deal.stage_id: {starts_with: N}",
    "deal.observers: {is: %n}",
    "deal.observers: {exists: %t}",
    "deal.uf_a: {exists: %t}",
    "deal.observers: {one_of: [%n, %n]}",
    "deal.observers: {not_in_list: vips}",
    "deal.uf_a: {over: %n}",
    "deal.uf_a: {at_least: %n}",
    "deal.uf_a: {below: %n}",
    "deal.uf_a: {is: %n}",
    "deal.uf_a: {none_of: [%n, %n]}",
    "deal.uf_a: {is: %t}",
    "deal.uf_a: {over: %n, currency: RUB}",
    "deal.uf_a: {older_than: %nd}",
    "deal.uf_a: {newer_than: %nd}",
    "deal.created_time: {older_than: %nd}",
    "deal.created_time: {newer_than: %nd}",
    "deal.created_time: {older_than: 2026-09-2%n}",
    "deal.created_time: {newer_than: 2026-09-2%n}",
    "deal.created_time: {is: 2026-09-2%n}",
    "deal.created_time: {within: office}",
    "deal.created_time: {outside: office}",
    "deal.created_time: {exists: %t}",
    "deal.begindate: {older_than: %nd}",
    "deal.begindate: {is: 2026-09-2%n}",
    "deal.begindate: {newer_than: 2026-09-2%n}",
    "workflow.age: {over: %nd}",
    "workflow.age: {below: %nd}",
    "workflow.age: {over: %nwd, in: office}",
    "workflow.age: {at_most: %nwd, in: office}",
    "workflow.started_by: {is_not: {fact: deal.company_id}}",
    "workflow.started_by: {is: {fact: deal.company_id}}",
    "workflow.started_by: {exists: %t}",
    "starter.active: {is: %t}",
    "starter.department: {none_of: [%n, %n]}",
    "workflow.tasks: {at_least: %n}",
    "workflow.tasks: {below: %n}",
    "waiting_for.id: {is: %n}",
    "waiting_for.id: {is_not: %n}",
    "workflow.id: {starts_with: a}",
    "workflow.id: {is: ab}",
]
NUMBERS = ["1", "2", "5"]


@st.composite
def a_test(draw: st.DrawFn, tests: Sequence[str]) -> str:
    """Draw one test with its operands, in a map of its own."""
    test = draw(st.sampled_from(tests))
    while "%n" in test:
        test = test.replace("%n", draw(st.sampled_from(NUMBERS)), 1)
    return "{" + test.replace("%t", draw(st.sampled_from(["true", "false"]))) + "}"


def _group(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=1, max_size=3).map(", ".join)
    return st.one_of(
        several.map("{{any: [{}]}}".format),
        several.map("{{all: [{}]}}".format),
        inner.map("{{not: {}}}".format),
    )


def _topic(test: str) -> str:
    """Return what a test is about: one fact, or some of which one says something of another."""
    path = test.partition(":")[0]
    for topic in _TOPICS:
        if path.startswith(topic):
            return str(topic)
    return path


_TOPICS = (
    ("deal.company", "document"),
    ("workflow.started_by", "starter"),
    ("workflow.tasks", "waiting_for"),
)
# Conditions about anything, and for each topic those that are about that alone.
CONDITIONS = [
    st.recursive(a_test(tests), _group, max_leaves=5)
    for tests in (
        TESTS,
        *([t for t in TESTS if _topic(t) == one] for one in sorted({*map(_topic, TESTS)})),
    )
]
A_TOPIC = st.sampled_from(CONDITIONS)


TIMES = st.sampled_from(
    [
        *(None, "", DENIED, "?", "2026-09-24", "2026-09-24T10:00:00+03:00", "2026-09-21"),
        *("2026-09-20T12:00:00", "2026-09-25T00:00:00+00:00", "2026-09-19T19:00:00-05:00"),
        *((NOW - timedelta(days=days)).isoformat() for days in (1, 2, 3, 5)),
    ]
)
NUMERIC = st.sampled_from(
    [DENIED, None, "", 0, "0", 1, "1.5", 2, "2.0", 3, "5", 6, 17, "x", True, False]
)
TEXTS = st.sampled_from([DENIED, None, "", "NEW", "WON", "E", "N", 5, True, "ab", "a"])
ANY = st.one_of(NUMERIC, TEXTS, TIMES, st.sampled_from(["2|RUB", "7|RUB", "3|EUR", "Y"]))
SEVERAL = st.one_of(ANY, st.lists(ANY.filter(lambda one: one is not DENIED), max_size=3))
LENGTHS = st.sampled_from([DENIED, None, *(timedelta(hours=12 * n) for n in range(14))])
TRUTHS = st.sampled_from([DENIED, None, "Y", "N", True, False, "1", "?"])
_FACTS = st.fixed_dictionaries(
    {
        "document.exists": st.sampled_from([True, True, False, DENIED]),
        "deal.closed": TRUTHS,
        "deal.company_id": NUMERIC,
        "deal.company.title": TEXTS,
        "deal.company.uf_a": SEVERAL,
        "deal.category_id": NUMERIC,
        "deal.probability": NUMERIC,
        "deal.stage_id": TEXTS,
        "deal.observers": SEVERAL,
        "deal.uf_a": SEVERAL,
        "deal.created_time": TIMES,
        "deal.begindate": TIMES,
        "workflow.age": LENGTHS,
        "workflow.started_by": NUMERIC,
        "starter.active": TRUTHS,
        "starter.department": SEVERAL,
        "workflow.tasks": st.sampled_from([DENIED, 0, 1, 2, 3, 5, 6]),
        "waiting_for.id": SEVERAL,
        "workflow.id": st.sampled_from(["a", "ab", "b"]),
    }
)


def as_they_are_read(facts: Mapping[str, object]) -> dict[str, object]:
    """Make facts fit each other, as they do wherever they are read."""
    found = dict(facts)
    if found["document.exists"] is False:
        found |= {path: DENIED for path in found if path.startswith("deal.")}
    if is_empty(found["deal.company_id"], Type.REFERENCE):
        found |= {path: None for path in found if path.startswith("deal.company.")}
    if is_empty(found["workflow.started_by"], Type.REFERENCE):
        found |= {"starter.active": None, "starter.department": None}
    if found["workflow.tasks"] == 0:
        found["waiting_for.id"] = []
    return found


FACTS = _FACTS.map(as_they_are_read)
ZONES = st.sampled_from(["", "Europe/Moscow", "America/New_York"])


def a_head(zone: str) -> str:
    """Write what stands above the rules, with the file's own zone unless that is empty."""
    return (f"defaults: {{timezone: {zone}}}\n" if zone else "") + HEAD
