"""Tests of what `check` says of a file that loads: what is probably not meant."""

import pytest

from responder.authoring.check import check, render
from tests.rules.make import a_rule, in_a_file

WHY = "because: So that it is."
ACTING = a_rule(name="acting", mode="observe", more=WHY)
IDLE = "warning: `guard` protects from nothing: no kill or terminate rule below it"


def said(rules: str, *, head: str = "", tested: tuple[str, ...] = ()) -> list[str]:
    data = in_a_file(rules, head).encode()
    return [f"{one.severity}: {one.message}" for one in check(data, "r", tested=tested)]


def test_a_rule_in_order_is_left_in_peace() -> None:
    assert said(ACTING) == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (a_rule(mode=None), "`the-rule` has no `because`: the log cannot tell people why"),
        (a_rule(more=WHY), "`the-rule` is enforced, and no test expects it to act"),
        (
            a_rule(mode=None, more="tell: [starter]"),
            "`the-rule` has no `because`: those whom it tells do not learn why",
        ),
        (
            a_rule(
                "deal.updated_time: {older_than: 1d}, workflow.template_id: 61",
                mode=None,
                more=f"tell: [timeline]\n{WHY}",
            ),
            "`the-rule` tests `deal.updated_time`, which its comment in the timeline changes",
        ),
        (
            ACTING
            + a_rule("deal.title: x", name="guard", then="leave", when=None)
            + a_rule("workflow.id: x", name="below", mode=None, more=WHY),
            "`guard` does not protect from `acting`, which stands above it",
        ),
        (
            a_rule(more=f"disabled: for now\n{WHY}"),
            "every rule is switched off, so nothing is ever stopped",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(rules: str, message: str) -> None:
    assert said(rules) == [f"warning: {message}"]


def test_hours_of_which_nobody_says_where_they_are_are_a_warning() -> None:
    office = "calendars: {office: {days: [mon], from: 9:00, to: 18:00}"
    assert said(ACTING, head=f"{office}}}\n") == [
        "warning: `office` names no `timezone`, and neither does `defaults`: its days and hours "
        "are those of UTC"
    ]
    moscow = "defaults: {timezone: Europe/Moscow}\n"
    assert said(ACTING, head=f"{moscow}{office}}}\n") == []
    assert said(ACTING, head=f"{office.replace('days', 'timezone: UTC, days')}}}\n") == []


def test_a_rule_that_is_never_reached_is_a_warning() -> None:
    below = a_rule("workflow.template_id: 61, deal.id: 5", name="below", more=WHY)
    assert said(a_rule(name="above", more=WHY) + below, tested=("above", "below")) == [
        "warning: `below` is never reached: `above` above ends the reading wherever it holds"
    ]


@pytest.mark.parametrize(
    ("guard", "warnings"),
    [
        (
            a_rule("lead.title: x", name="guard", then="leave", when=None),
            [f"{IDLE} is about a lead"],
        ),
        (
            a_rule("deal.title: x", name="guard", then="leave", when="[deal.added]"),
            [f"{IDLE} has any of these triggers; without `when` it guards always"],
        ),
        (a_rule("deal.title: x", name="guard", then="leave", when=None, more="portals: [b]"), []),
    ],
)
def test_a_guard_against_something_else_may_stand_below(guard: str, warnings: list[str]) -> None:
    acting = a_rule("deal.id: 1, workflow.id: x", name="acting", mode=None, more=WHY)
    below = a_rule("workflow.id: x", name="below", mode=None, more=WHY)
    assert said(acting + guard + below, head="defaults: {portals: [a]}\n") == warnings


def test_github_is_told_in_its_own_words() -> None:
    data = in_a_file(a_rule(more=WHY)).encode()
    (mistake,) = check(data, "a,b/rules.yaml")
    assert render((mistake,), data, format="github") == (
        "::warning file=a%2Cb/rules.yaml,line=3,col=5,endColumn=6::`the-rule` is enforced, and no "
        "test expects it to act\n"
    )


def test_a_rule_that_asks_first_and_that_no_test_shows_is_named() -> None:
    assert said(a_rule(mode="approve", more=WHY)) == [
        "warning: `the-rule` acts where it is approved, and no test expects it to act"
    ]
