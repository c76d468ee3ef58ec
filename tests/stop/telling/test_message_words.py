"""Tests of what people are told: the reason and the names, shown by the portal and never obeyed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Action, Document
from responder.stop.telling import message_words
from responder.stop.telling.message_words import Approval, Subject

DEAL = Document(kind="deal", item_id="759", module="crm", entity="CCrmDocumentDeal", id="DEAL_759")
LOST = Subject(
    decision_id="main-12-1",
    document=DEAL,
    title="Acme",
    template="Discount approval",
    action=Action.KILL,
    because="A lost deal needs no approval",
)
AT = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)


def test_what_was_stopped_is_told_with_its_reason_and_its_decision() -> None:
    assert message_words.stopped(LOST) == (
        "Stopped, and deleted with its data: “Discount approval” on deal 759 “Acme”. "
        "A lost deal needs no approval. (main-12-1)"
    )
    bare = replace(LOST, title=None, template=None, because=None, action=Action.TERMINATE)
    assert message_words.stopped(bare) == "Stopped: a workflow on deal 759. (main-12-1)"


def test_a_warning_says_what_will_happen_and_when_and_on_what_conditions() -> None:
    waits = message_words.warning(LOST, at=AT, zone=UTC, asks=None)
    assert waits == (
        "Will be stopped and deleted with its data at 2026-11-28 12:30 (UTC), if what led to it "
        "still holds then: “Discount approval” on deal 759 “Acme”. A lost deal needs no approval. "
        "(main-12-1)"
    )
    kept = replace(LOST, action=Action.TERMINATE)
    asks = message_words.warning(kept, at=None, zone=UTC, asks=Approval(AT))
    assert asks.startswith(
        "Will be stopped, if an administrator approves it by 2026-11-28 12:30 (UTC): “Discount"
    )
    both = message_words.warning(LOST, at=AT, zone=UTC, asks=Approval())
    assert "still holds then and an administrator approves it:" in both


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("[url=https://x.example]free[/url]", "(url=https: //x.example)free(/url)"),
        ("[USER=1]all[/USER]", "(USER=1)all(/USER)"),
        ("<a href=x>y</a>", "(a href=x)y(/a)"),
        ("a#BR#b #br#", "a# BR#b # br#"),
        ("&#91;b&#93; Smith & Sons &amp;", "& #91;b& #93; Smith & Sons & amp;"),
        ("www.x.example", "www .x.example"),
        ("one\r\ntwo\x00\u202ethree", "one two three"),
    ],
)
def test_a_title_is_shown_and_not_obeyed(title: str, shown: str) -> None:
    assert message_words.without_links(title) == shown
    assert f"“{shown}”" in message_words.stopped(replace(LOST, title=title))


@given(st.text())
def test_no_title_has_tags_breaks_or_links(title: str) -> None:
    shown = message_words.without_links(title)
    assert not set("[]<>\n\r") & set(shown)
    assert "://" not in shown
    assert "#br#" not in shown.lower()


def test_a_long_title_and_a_long_reason_are_shortened() -> None:
    said = message_words.stopped(replace(LOST, title="t" * 5000, because="b" * 5000))
    assert len(said) < 1400
    assert "…”" in said


def test_a_terminated_workflow_shows_the_reason_as_its_title() -> None:
    assert message_words.state_title("Lost [b]deal[/b]", "lost-deal") == "Lost (b)deal(/b)"
    assert message_words.state_title(None, "lost-deal") == "Stopped by rule lost-deal"
    assert len(message_words.state_title("x" * 999, "lost-deal")) == message_words.TITLE_LENGTH
