"""Tests that a row which makes no sense is named and left alone, and proves nobody gone."""

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from responder.store.database.database import Database
from tests.support.rounds import DEAL, RULES, Driving, driving, play
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

MANY = range(1, 121)
WAITS = RULES.replace("    then: kill", "    wait: 1m\n    then: kill")
KEEPS = RULES.replace("    then: kill", "    keep: newest\n    per: [template]\n    then: kill")


def workflow(number: int) -> str:
    return f"65e5a449e8f135.{number:06d}00"


def _id_of(decision: dict[str, object]) -> object:
    of = decision["workflow"]
    assert isinstance(of, dict)
    return of["id"]


@pytest.mark.parametrize("field", ["DOCUMENT_ID", "ID", "ENTITY"])
def test_a_stop_whose_workflow_is_listed_otherwise_is_not_said_to_be_gone(
    database: Database, tmp_path: Path, field: str
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals(MANY)
        there.deliver(MANY)
        await there.until_idle()
        there.sandbox.workflows[workflow(7)][field] = None
        there.sandbox.end_workflow(workflow(8))
        there.later(minutes=2)  # all are judged afresh, by what the list of all that runs tells
        await there.come_to_rest()  # and those that are left one by one
        became = {_id_of(one): one for one in there.decisions()}
        assert became[workflow(7)]["outcome"] == "gave_up"
        assert "list" in str(became[workflow(7)]["detail"])
        assert became[workflow(8)]["outcome"] == "already_gone"
        assert there.outcomes()["killed"] == 118

    with driving(database, tmp_path, WAITS) as driven:
        play(driven, story)


def swept(there: Driving) -> None:
    there.lost_deals(range(1, 6))
    odd = there.sandbox.start_workflow((*DEAL, "DEAL_777"), 61)
    there.sandbox.workflows[odd]["DOCUMENT_ID"] = 777  # type: ignore[assignment]


@pytest.mark.parametrize(("rules", "killed"), [(RULES, 5), (KEEPS, 0)])
def test_a_sweep_names_it_and_judges_the_others_but_keep_chooses_nobody(
    database: Database, tmp_path: Path, rules: str, killed: int
) -> None:
    async def story(there: Driving) -> None:
        await there.until_idle()
        swept(there)
        there.later(minutes=16)
        with capture_logs() as logs:
            await there.until_idle()
        assert len(there.sandbox.killed) == killed
        (named,) = [line for line in logs if "make no sense" in line["event"]]
        assert named["portal"] == "main"
        assert "777" in str(named["rows"])

    with driving(database, tmp_path, rules) as driven:
        driven.sweep_every = timedelta(minutes=15)
        play(driven, story)
