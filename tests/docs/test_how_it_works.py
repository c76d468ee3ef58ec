"""The page for the next developer says of the code what is so."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from responder.judge.stop_lifecycle import LIFE, TRIES, Seen, StopProgress, step
from responder.model import OPEN_OUTCOMES, Action, Outcome
from responder.store.database.portal_tables import metadata
from tests.docs.texts import PAGES, ROOT, blocks, column

PAGE = PAGES["how-it-works"]
NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
PROOF = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")

Arrow = tuple[str, str, str]


def drawn() -> set[Arrow]:
    """Return the arrows of the drawing: from, what was seen, to."""
    (drawing,) = blocks(PAGE, "mermaid")
    lines = re.findall(r"^    (\w+) --> (\w+): (.+)$", drawing, re.MULTILINE)
    return {(start, seen, end) for start, end, words in lines for seen in words.split(", ")}


def stops_in_progress() -> Iterator[StopProgress]:
    """Return stops of all the kinds that the table tells apart."""
    for action, tries, calls, unknown_id, since in product(
        (Action.KILL, Action.TERMINATE), (0, TRIES - 1), (1, 2), (False, True), (NOW, LONG_AGO)
    ):
        yield StopProgress(
            action=action,
            tries=tries,
            condemned_at=since,
            called_at=since,
            calls=calls,
            ready_at=since,
            unknown_id=unknown_id,
        )


def possible() -> set[Arrow]:
    """Return every step that the table can take."""
    return {
        (start.value, seen.value, step(start, seen, progress, NOW, "why").outcome.value)
        for start, seen in LIFE
        for progress in stops_in_progress()
    }


def test_the_drawing_has_every_step_of_a_stop_and_no_other() -> None:
    assert drawn() == possible()


def test_the_drawing_begins_where_a_stop_begins_and_has_every_outcome_that_a_stop_can_have() -> (
    None
):
    (drawing,) = blocks(PAGE, "mermaid")
    assert re.findall(r"\[\*\] --> (\w+)$", drawing, re.MULTILINE) == [Outcome.WAITING]
    ends = {end for _, _, end in drawn()}
    assert ends == {outcome.value for outcome in Outcome} - {Outcome.LEFT}
    assert {start for start, _, _ in drawn()} == {outcome.value for outcome in OPEN_OUTCOMES}


def test_what_may_be_seen_of_a_stop_is_explained() -> None:
    assert sorted(column(PAGE, "seen")) == sorted(seen.value for seen in Seen)


def test_every_table_of_the_database_is_explained() -> None:
    assert sorted(column(PAGE, "table")) == sorted(metadata.tables)


def test_every_proof_is_a_test_that_exists() -> None:
    proofs = PROOF.findall(PAGE)
    assert len(proofs) > 15
    for file, name in proofs:
        tree = ast.parse((ROOT / file).read_text())
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert any(one.startswith("test_") for one in tests), file
        assert not name or name in tests, f"{file}::{name}"


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`([a-z0-9_]+/[a-z0-9_/.]*)`", PAGE))))
def test_every_place_that_is_named_is_there(place: str) -> None:
    assert (ROOT / "responder" / place).exists() or (ROOT / place).exists()
