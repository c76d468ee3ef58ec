"""Elements of lists are met by schedules, judged by their fields, and again before a stop."""

from datetime import date, timedelta

import pytest

from responder.bitrix24 import documents
from tests.support.rounds import Driving
from tests.support.stories import Tell, after, begin, incomplete, outcomes, rule, rules
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal

OVER = ", list_23.property_1: {older_than: 1d}"
FEED, LIST = documents.FEED, documents.LIST
GUARD = """\
  - id: keep-sick
    if: {list_23.property_2: Sick}
    then: leave
"""


def the_lists(there: Driving) -> None:
    sandbox = there.sandbox
    sandbox.scopes = ("bizproc", "crm", "user_brief", "lists")
    for number, kind, entity in ((23, "bitrix_processes", FEED), (24, "lists", LIST)):
        sandbox.lists.add(number, "Leave", kind)  # type: ignore[arg-type]  # both are types
        sandbox.lists.add_field(number, "PROPERTY_1", "Last day", "S:Date")
        sandbox.lists.add_field(number, "PROPERTY_2", "Reason", "S")
        sandbox.add_template(
            60 + number, "Leave", document_type=("lists", entity, f"iblock_{number}")
        )


def a_leave(
    there: Driving, number: int, days_ago: int | None, iblock: int = 23, reason: str = ""
) -> None:
    day = None if days_ago is None else date(2020, 1, 31) - timedelta(days=days_ago)
    there.sandbox.lists.add_element(iblock, number, "Leave", PROPERTY_1=day, PROPERTY_2=reason)
    entity = FEED if iblock == 23 else LIST
    there.sandbox.start_workflow(("lists", entity, str(number)), 60 + iblock, id=f"w{number}")


@pytest.fixture
def overdue() -> str:
    return rules(rule("[{every: 5m}]", tests=OVER).replace("_id: 61", "_id: [83, 84]"))


def test_a_schedule_judges_elements_by_their_own_fields(tell: Tell, overdue: str) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        the_lists(there)
        there.sandbox.lists.date_format = "%d.%m.%Y"
        a_leave(there, 1, 0)
        a_leave(there, 2, -36_500)  # in a hundred years
        a_leave(there, 3, None)
        a_leave(there, 4, 0, iblock=24)
        there.sandbox.start_workflow(("lists", FEED, "404"), 83, id="unreadable")
        await after(there, minutes=6)
        await there.come_to_rest()
        assert there.sandbox.killed == ["w1"]
        (stop,) = [one for one in there.decisions() if one["rule"] == "overdue"]
        assert stop["document"] == ["lists", "BizprocDocument", "1"]
        assert stop["facts"]["list_23.property_1"] == "2020-01-31"  # type: ignore[index]

    tell(overdue, story)


def test_a_stop_that_waited_is_judged_by_its_element_as_it_is_then(
    tell: Tell, overdue: str
) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        the_lists(there)
        there.sandbox.lists.date_format = "%d.%m.%Y"
        a_leave(there, 1, 0)
        a_leave(there, 2, 0)
        await after(there, minutes=6)
        assert outcomes(there) == ["waiting", "waiting"]
        there.sandbox.lists.add_element(23, 2, "Leave", PROPERTY_1=date(2126, 1, 1))
        await after(there, minutes=31)
        await there.come_to_rest()
        assert there.sandbox.killed == ["w1"]
        assert sorted(map(str, outcomes(there))) == ["cleared", "killed"]

    tell(overdue.replace("    then: kill", "    wait: 30m\n    then: kill"), story)


def test_where_it_is_not_known_which_list_an_element_is_of_guards_protect_it(tell: Tell) -> None:
    all_of_them = "every_template: true"
    text = rules(GUARD, rule("[{every: 5m}]", all_of_them).replace(".template_id: 61", ".tasks: 0"))

    async def story(there: Driving) -> None:
        await begin(there)
        the_lists(there)
        a_leave(there, 1, 0, reason="Sick")
        a_leave(there, 2, 0)
        there.sandbox.fail_next("bizproc.workflow.template.list", "500", times=3)
        await after(there, minutes=6)
        assert there.sandbox.killed == []
        assert set(incomplete(there)) == {"schedule"}
        await after(there, seconds=61)
        await there.come_to_rest()
        assert there.sandbox.killed == ["w2"]
        assert incomplete(there) == {}

    tell(text, story)


BY_KIND = {
    "a guard": rules(
        "  - id: keep-leaves\n    if: {document.kind: list_23}\n    then: leave\n",
        rule("[{every: 5m}]").replace("_id: 61", "_id: [83, 84, 99]"),
    ),
    "an exception": rules(
        rule("[{every: 5m}]", "unless: {document.kind: list_23}").replace(
            "_id: 61", "_id: [83, 84, 99]"
        )
    ),
    "a test": rules(
        rule("[{every: 5m}]", tests=", document.kind: list_24").replace(
            "_id: 61", "_id: [83, 84, 99]"
        )
    ),
}


@pytest.mark.parametrize("text", BY_KIND.values(), ids=BY_KIND)
def test_a_rule_that_names_a_list_by_its_kind_alone_knows_its_elements(
    tell: Tell, text: str
) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        the_lists(there)
        a_leave(there, 1, 0)
        a_leave(there, 2, 0, iblock=24)
        there.sandbox.start_workflow(("lists", FEED, "3"), 99, id="its template is gone")
        await after(there, minutes=6)
        await there.come_to_rest()
        assert there.sandbox.killed == ["w2"]

    tell(text, story)
