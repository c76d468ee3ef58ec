"""Tests the reading of a list whose pages shift, against a list that is simulated row by row."""

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.client.answers import Answer, Failure, FailureKind
from responder.bitrix24.lists.workflow_row import INSTANCE_FIELDS
from responder.bitrix24.lists.workflows import PAGE, RunningWorkflows, WorkflowList, unpacked
from responder.model import Unknown


def row(number: int) -> dict[str, object]:
    told = {
        "ID": f"65e5a449e8f135.{number:08d}",
        "MODULE_ID": "crm",
        "ENTITY": "CCrmDocumentDeal",
        "DOCUMENT_ID": f"DEAL_{number}",
    }
    return {name: told.get(name) for name in INSTANCE_FIELDS}


@dataclass(slots=True)
class Changing:
    """A list in the order of its ids; between two pages some rows end and some start."""

    running: list[int]
    chance: random.Random
    ends: int = 0
    starts: int = 0
    lasting: set[int] = field(default_factory=set)
    pages: int = 0

    def __post_init__(self) -> None:
        self.lasting = set(self.running)

    def page(self, start: int) -> Answer:
        self.pages += 1
        part = self.running[start : start + PAGE]
        total, end = len(self.running), start + len(part)
        told = [row(number) for number in part]
        answer = Answer(value=told, total=total, next=end if end < total else None)
        self.change()
        return answer

    def change(self) -> None:
        for _ in range(self.chance.randint(0, self.ends)):
            if self.running:
                gone = self.running.pop(self.chance.randrange(len(self.running)))
                self.lasting.discard(gone)
        for _ in range(self.chance.randint(0, self.starts)):
            number = self.chance.randint(1, 10**7)
            if number not in self.running:
                self.running = sorted([*self.running, number])

    def read(self, room: int = 50, between: int = 0) -> WorkflowList:
        """Read it all, with so many more that end between two requests."""
        listing = WorkflowList()
        while listing.next_commands(0) == [] and (asked := listing.next_commands(room)):
            for number, _ in asked:
                listing.accept(number, self.page(number))
            for _ in range(min(between, len(self.running))):
                self.lasting.discard(self.running.pop(0))
        return listing


def numbers(listing: WorkflowList) -> set[int]:
    return {int(workflow_id[-8:]) for workflow_id in listing.rows}


def of(count: int, ends: int = 0, starts: int = 0) -> Changing:
    running = [10 * number for number in range(1, count + 1)]
    return Changing(running, random.Random(1), ends, starts)  # noqa: S311


def test_a_row_is_told_as_it_was_sent() -> None:
    listing = of(1).read()
    assert [unpacked(one) for one in listing.rows.values()] == [row(10)]


def test_a_field_that_was_not_sent_is_not_there() -> None:
    short = {name: value for name, value in row(1).items() if name != "STARTED_BY"}
    listing = WorkflowList()
    for number, _ in listing.next_commands(1):
        listing.accept(number, Answer(value=[short], total=1))
    assert [unpacked(one) for one in listing.rows.values()] == [short]


def test_a_list_that_rests_is_read_once() -> None:
    listed = of(2000)
    listing = listed.read()
    assert (listing.whole, listing.failure) == (True, None)
    assert numbers(listing) == listed.lasting
    assert listed.pages == 1 + -(-(2000 - PAGE) // (PAGE - 1))


def test_an_empty_list_is_whole() -> None:
    listing = of(0).read()
    assert (listing.whole, listing.rows) == (True, {})


@given(
    count=st.integers(0, 700),
    ends=st.integers(0, 4),
    starts=st.integers(0, 4),
    room=st.integers(1, 50),
    seed=st.integers(0, 10**6),
)
def test_what_ran_the_whole_time_is_seen_or_the_list_is_given_up(
    count: int, ends: int, starts: int, room: int, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    listed = Changing(sorted(chance.sample(range(10**7), count)), chance, ends, starts)
    listing = listed.read(room)
    assert listing.whole is (listing.failure is None)
    if listing.whole:
        assert listed.lasting <= numbers(listing)


def test_a_list_from_which_a_few_end_at_every_page_is_read_whole() -> None:
    listed = of(3000, ends=6, starts=3)
    listing = listed.read()
    assert listing.whole
    assert listed.lasting <= numbers(listing)
    assert listed.pages < 2 * 3000 / PAGE


def test_hundreds_that_end_between_two_requests_are_made_up_for() -> None:
    listed = of(3000)
    listing = listed.read(room=25, between=400)
    assert listing.whole
    assert listed.lasting <= numbers(listing)


def test_a_list_that_never_rests_is_given_up() -> None:
    listed = of(3000, ends=300, starts=300)
    listing = listed.read(room=1)
    assert listing.failure is not None
    assert listing.failure.code == "incomplete"
    assert not listing.whole


NAMELESS: tuple[object, ...] = (
    None,
    "row",
    [],
    {"ID": 7},
    {**row(1), "ID": ""},
    {**row(1), "ID": "a b"},
)
HOMELESS = (
    {**row(1), "MODULE_ID": 5},
    {**row(1), "DOCUMENT_ID": 1},
    {name: value for name, value in row(1).items() if name != "ENTITY"},
    {**row(1), "MODULE_ID": None, "ENTITY": None, "DOCUMENT_ID": None},
)


def read_of(*rows: object) -> WorkflowList:
    listing = WorkflowList()
    while asked := listing.next_commands(50):
        for start, _ in asked:
            part = list(rows[start : start + PAGE])
            more = start + PAGE if start + PAGE < len(rows) else None
            listing.accept(start, Answer(value=part, total=len(rows), next=more))
    return listing


@pytest.mark.parametrize("odd", NAMELESS)
def test_a_row_without_an_id_is_left_alone_and_proves_nobody_gone(odd: object) -> None:
    listing = read_of(row(2), odd)
    assert listing.whole
    assert numbers(listing) == {2}
    listed = RunningWorkflows(listing.rows, listing.odd)
    assert isinstance(listed.find_row("gone.1"), Unknown)
    assert isinstance(listed.find_row(str(row(2)["ID"])), tuple)
    assert len(listing.odd.rows) == 1
    assert listing.odd.why("gone.1")


@pytest.mark.parametrize("odd", HOMELESS)
def test_a_row_without_a_document_is_there_by_its_id(odd: dict[str, object]) -> None:
    listing = read_of(odd, row(2))
    assert listing.whole
    listed = RunningWorkflows(listing.rows, listing.odd)
    assert listed.find_row(str(row(1)["ID"])) is not None
    assert listed.find_row("gone.1") is None
    assert listing.odd.why(str(row(1)["ID"]))
    assert not listing.odd.why("gone.1")
    is_nobodys = odd.get("MODULE_ID", 5) is None
    assert len(listing.odd.rows) == (0 if is_nobodys else 1)


def test_pages_that_share_a_row_without_an_id_are_joined_by_others() -> None:
    rows: list[object] = [row(number) for number in range(1, 300)]
    for place in (0, 49, 98, 147, 298):
        rows[place] = {"ID": None}
    listing = read_of(*rows)
    assert listing.whole
    assert len(listing.rows) == 294


def test_what_is_shown_of_an_odd_row_is_short() -> None:
    (shown,) = read_of({"ID": ["x" * 10**6] * 50, "DOCUMENT_ID": {"a": [[[[1]]]]}}).odd.rows
    assert len(shown) <= 300
    assert "DOCUMENT_ID" in shown


def test_an_answer_that_is_no_list_spoils_it() -> None:
    for answer in (Answer(value={}, total=1), Answer(value=[])):
        listing = WorkflowList()
        ((number, _),) = listing.next_commands(1)
        listing.accept(number, answer)
        assert listing.failure is not None


def test_a_page_that_failed_for_good_spoils_it() -> None:
    failure = Failure(FailureKind.METHOD, "insufficient_scope", "")
    listing = WorkflowList()
    ((number, _),) = listing.next_commands(1)
    listing.accept(number, Answer(failure=failure))
    assert listing.failure is failure


def test_a_list_beyond_all_measure_is_not_read() -> None:
    listing = WorkflowList()
    ((number, _),) = listing.next_commands(1)
    listing.accept(number, Answer(value=[row(1)], total=10**9, next=1))
    assert listing.failure is not None
    assert listing.failure.code == "too_long"


def test_a_list_that_counts_in_whole_pages_proves_nothing() -> None:
    listed = [row(number) for number in range(1, 400)]
    listing = WorkflowList()
    while asked := listing.next_commands(50):
        for start, _ in asked:
            first = start // PAGE * PAGE if start < len(listed) else 0
            part = listed[first : first + PAGE]
            following = first + PAGE if first + PAGE < len(listed) else None
            listing.accept(start, Answer(value=part, total=len(listed), next=following))
            if first == PAGE and listed[0]["ID"] == row(1)["ID"]:
                del listed[0]  # the row that moves to the page before is on neither
    assert not listing.whole
    assert listing.failure is not None


def test_a_list_in_another_order_proves_nothing() -> None:
    listing = WorkflowList()
    ((start, _), *_) = listing.next_commands(50)
    listing.accept(start, Answer(value=[row(number) for number in (3, 1, 2)], total=3))
    assert not listing.whole
    assert listing.failure is not None
    assert listing.failure.code == "wrong_order"


def test_a_page_from_which_a_row_is_missing_proves_nothing() -> None:
    listing, listed = WorkflowList(), of(300)
    while asked := listing.next_commands(50):
        for start, _ in asked:
            page = listed.page(start)
            assert isinstance(page.value, list)
            shown = [one for one in page.value if one != row(700)]
            following = None if page.next is None else start + len(shown)
            listing.accept(start, replace(page, value=shown, next=following))
    assert not listing.whole
    assert listing.failure is not None


def test_a_workflow_that_starts_between_the_rows_and_their_count_does_no_harm() -> None:
    listing, first = WorkflowList(), True
    while asked := listing.next_commands(50):
        for start, _ in asked:
            rows = [row(number) for number in range(1, 31)][start:]
            if first:
                listing.accept(start, Answer(value=rows, total=31, next=30))
                first = False
            else:
                listing.accept(start, Answer(value=rows, total=30))
    assert listing.whole
    assert len(listing.rows) == 30


def test_a_list_that_always_has_its_first_page_proves_nothing() -> None:
    listing, rows = WorkflowList(), [row(number) for number in range(1, PAGE + 1)]
    while asked := listing.next_commands(50):
        for start, _ in asked:
            listing.accept(start, Answer(value=rows, total=2_010))
    assert not listing.whole


def test_a_page_that_contradicts_itself_proves_nothing() -> None:
    rows = [row(number) for number in range(1, 51)]
    twice = [row(1), row(1)]
    for answer in (
        Answer(value=rows, total=0),
        Answer(value=rows, total=50, next=50),
        Answer(value=rows, total=51),
        Answer(value=twice, total=2),
    ):
        listing = WorkflowList()
        ((start, _), *_) = listing.next_commands(1)
        listing.accept(start, answer)
        assert listing.next_commands(50) == []
        assert not listing.whole
