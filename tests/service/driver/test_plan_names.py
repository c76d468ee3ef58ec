"""People see what a decision is about; names that cannot be read delay and change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from responder.journal.audit.integrity import check_log
from responder.journal.upkeep import erase
from responder.store.database.database import Database
from tests.support.evaluations import count
from tests.support.rounds import DEAL, KILL, RULES, Driving, driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.whole_log import run

pytestmark = pytest.mark.portal

WITHOUT_FACTS = """\
version: 1
rules:
  - id: any-of-61
    mode: enforce
    when: [deal.updated, {every: 1h}]
    if: {workflow.template_id: 61}
    then: kill
"""


@pytest.fixture
def driven(tmp_path: Path, database: Database) -> Iterator[Driving]:
    yield from _driven(tmp_path, database, RULES)


@pytest.fixture
def without_facts(tmp_path: Path, database: Database) -> Iterator[Driving]:
    """Drive by a rule that asks for nothing of the document."""
    yield from _driven(tmp_path, database, WITHOUT_FACTS)


def _driven(place: Path, database: Database, rules: str) -> Iterator[Driving]:
    with driving(database, place, rules=rules) as made:
        made.sandbox.add_user(7, name="Anna", last_name="Petrova")
        yield made


def lost_deal(there: Driving, number: int, semantics: str = "F", started_by: int = 7) -> None:
    there.sandbox.add_item(
        2,
        number,
        title=f"Acme  {number}",
        opportunity=52000.0,
        currencyId="RUB",
        stageSemanticId=semantics,
    )
    there.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61, started_by=started_by)


def names_of(there: Driving) -> list[dict[str, object]]:
    return [as_map(one["names"]) for one in there.decisions() if one["action"] == "kill"]


def as_map(given: object) -> dict[str, object]:
    assert isinstance(given, dict)
    return given


def of_acme(number: int, **other: str) -> dict[str, object]:
    money = {"amount": "52000.0", "currency": "RUB"}
    return {"title": f"Acme {number}", **money, "template": "Approval", **other}


def test_a_condemned_workflow_has_names_and_people_are_asked_for_once(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        for number in (1, 2):
            lost_deal(there, number)
            there.deliver([number])
            await there.until_idle()
        assert names_of(there) == [of_acme(n, starter="Anna Petrova") for n in (1, 2)]
        (asked,) = there.sandbox.calls_of("user.get")
        assert asked.batch == there.sandbox.calls_of("bizproc.task.list")[0].batch  # no call more
        assert not there.sandbox.calls_of("crm.item.list")
        assert check_log(there.database)[1] == []

    play(driven, story)


def test_a_document_without_a_title_is_not_asked_for_it_again(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals(range(1, 41))
        there.deliver(range(1, 41))  # so many are read by pages
        await there.until_idle()
        there.lost_deals([50])
        there.deliver([50])
        await there.until_idle()
        assert len(names_of(there)) == 41
        assert len(there.sandbox.calls_of("crm.item.list")) == 1
        assert len(there.sandbox.calls_of("crm.item.get")) == 1

    play(driven, story)


def test_where_nothing_is_condemned_nobody_is_asked_for(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        lost_deal(there, 1, semantics="P")
        there.deliver([1])
        await there.come_to_rest()
        assert not there.sandbox.calls_of("user.get")
        assert [one["names"] for one in there.decisions()] == [None]

    play(driven, story)


def test_what_rules_do_not_read_is_read_in_one_request(without_facts: Driving) -> None:
    async def story(there: Driving) -> None:
        for number in range(1, 61):
            there.sandbox.add_user(100 + number, name="User", last_name=str(number))
            lost_deal(there, number, started_by=100 + number)
        there.deliver(range(1, 61))
        await there.round()
        requests = {call.batch for call in there.sandbox.calls_of("user.get")}
        requests |= {call.batch for call in there.sandbox.calls_of("crm.item.list")}
        assert len(requests) == 1
        await there.come_to_rest()
        named = {one["title"]: one for one in names_of(there)}
        assert named == {
            f"Acme {number}": of_acme(number, starter=f"User {number}") for number in range(1, 61)
        }

    play(without_facts, story)


def test_what_a_schedule_condemns_has_names_too(without_facts: Driving) -> None:
    async def story(there: Driving) -> None:
        lost_deal(there, 1)
        await there.until_idle()
        there.later(hours=1.1)
        await there.come_to_rest()
        assert there.outcomes()["killed"] == 1
        assert names_of(there) == [of_acme(1, starter="Anna Petrova")]

    play(without_facts, story)


@pytest.mark.parametrize("fault", ["scope", "500", "drop_before"])
def test_names_that_cannot_be_read_change_nothing(driven: Driving, fault: str) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next("user.get", fault, times=9)
        for number in (1, 2):
            lost_deal(there, number)
            there.deliver([number])
            await there.until_idle()
        assert there.outcomes() == {"killed": 2}
        assert len(there.sandbox.calls_of(KILL)) == 2
        first, second = names_of(there)
        lost = {"template"} if fault == "drop_before" else set()  # it came in the same request
        assert first == {key: name for key, name in of_acme(1).items() if key not in lost}
        assert second == of_acme(2)  # its template is in the list that evidence was read from
        assert len(there.sandbox.calls_of("user.get")) == 1  # then it rests
        assert not there.client.breakers.opened

    structlog.reset_defaults()
    with capture_logs() as logs:
        play(driven, story)
    told = [one for one in logs if "names" in one["event"]]
    assert [one["log_level"] for one in told if one["method"] == "user.get"] == ["warning"]


def test_erasing_the_facts_erases_the_names_and_the_log_holds(driven: Driving) -> None:
    from responder.store.database.tables import name_words

    async def story(there: Driving) -> None:
        lost_deal(there, 1)
        there.deliver([1])
        await there.come_to_rest()

    play(driven, story)
    database = driven.database
    assert count(database, name_words) == 5  # acme 1 approval anna petrova
    facts = erase.find(database, "main-1-1")
    database.write(lambda tx: erase.remove(tx, facts, by="me", at=driven.now()))
    (decision,) = driven.decisions()
    assert (decision["names"], decision["erased"]) == (None, True)
    assert count(database, name_words) == 0
    assert check_log(database)[1] == []


@pytest.mark.parametrize(
    "forged",
    [
        'UPDATE decisions SET names = \'{"title":"Other"}\'',
        "UPDATE decisions SET names = NULL",
        "UPDATE name_words SET word = 'other' WHERE word = 'acme'",
        "DELETE FROM name_words",
    ],
)
def test_names_that_were_changed_are_found(driven: Driving, forged: str) -> None:
    async def story(there: Driving) -> None:
        lost_deal(there, 1)
        there.deliver([1])
        await there.come_to_rest()

    play(driven, story)
    run(driven.database, forged)
    assert check_log(driven.database)[1] != []
