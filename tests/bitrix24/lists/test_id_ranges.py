"""Tests the reading of numbered rows by ranges, against a list that changes between answers."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.fetch.people import all_tasks, tasks_of
from responder.bitrix24.lists.id_ranges import AIM, PAGE, RangedList, pages_of

Key = tuple[int, int]


def task(number: int, user: int = 1) -> dict[str, object]:
    told = {"ID": str(number), "USER_ID": str(user), "WORKFLOW_ID": "w"}
    return {**told, "STATUS": "0", "USER_STATUS": "0"}


@dataclass(slots=True)
class Tasks:
    """The tasks of a portal, as (task, user), of which some end and some start between answers."""

    rows: list[Key]
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311
    ends: int = 0
    starts: int = 0
    filters: bool = True
    asked: int = 0

    def __post_init__(self) -> None:
        self.lasting = set(self.rows)

    lasting: set[Key] = field(default_factory=set)

    def answer(self, command: Command) -> Answer:
        self.asked += 1
        params = command.params
        given, order = params["FILTER"], params["ORDER"]
        assert isinstance(given, Mapping)
        assert isinstance(order, Mapping)
        after, through = given.get(">ID", 0), given.get("<=ID", 10**9)
        found = [key for key in self.rows if not self.filters or after < key[0] <= through]
        found.sort(reverse=order["ID"] == "DESC")
        start = int(str(params.get("start", 0)))
        start = start // PAGE * PAGE if start < len(found) else 0
        part = found[start : start + PAGE]
        told = [task(i, u) for i, u in part]
        more = start + PAGE if start + PAGE < len(found) else None
        self.change()
        return Answer(value=told, total=len(found), next=more)

    def change(self) -> None:
        for _ in range(self.chance.randint(0, self.ends)):
            if self.rows:
                self.lasting.discard(self.rows.pop(self.chance.randrange(len(self.rows))))
        for _ in range(self.chance.randint(0, self.starts)):
            last = max(self.rows, default=(1, 0))[0]
            self.rows.append((last + 1, 1))

    def read(self, room: int = 50) -> RangedList:
        read = all_tasks()
        while read.next_commands(0) == [] and (
            asked := read.next_commands(room)
        ):  # others may fill a portion
            for number, command in asked:
                read.accept(number, self.answer(command))
        return read


def keys(read: RangedList) -> set[Key]:
    return {(int(str(row["ID"])), int(str(row["USER_ID"]))) for row in read.rows.values()}


def of(count: int, each: int = 7) -> list[Key]:
    return [(1_000_000 + each * number, 1) for number in range(count)]


@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(1, 4)), unique=True, max_size=400),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 50),
    st.randoms(),
)
def test_whatever_was_there_all_the_time_is_read(
    rows: list[Key], ends: int, starts: int, room: int, chance: random.Random
) -> None:
    tasks = Tasks(rows, chance, ends, starts)
    read = tasks.read(room)
    assert read.whole
    assert tasks.lasting <= keys(read)


def test_that_there_was_no_room_to_ask_does_not_make_it_whole() -> None:
    there, read = Tasks(of(200)), all_tasks()
    for number, command in read.next_commands(50):
        read.accept(number, there.answer(command))
    assert read.next_commands(0) == []
    assert not read.whole


def test_a_short_list_is_one_answer() -> None:
    read = Tasks(of(PAGE)).read(room=1)
    assert read.whole
    assert len(read.rows) == read.total == PAGE


def test_a_long_list_takes_about_as_many_answers_as_is_said() -> None:
    tasks = Tasks(of(3_000))
    assert len(tasks.read().rows) == 3_000
    assert tasks.asked <= pages_of(3_000) == 3 + 3_000 // AIM


def test_a_task_of_very_many_users_is_read_by_pages() -> None:
    rows = [*of(100), *((2_000_000, user) for user in range(1, 131))]
    read = Tasks(rows).read()
    assert read.whole
    assert keys(read) == set(rows)


def test_a_portal_that_drops_the_filter_is_read_by_pages() -> None:
    tasks = Tasks(of(120), filters=False)
    read = tasks.read()
    assert read.whole
    assert keys(read) == set(tasks.rows)


def test_pages_that_change_prove_nothing() -> None:
    read = Tasks(of(400), filters=False, ends=2, starts=2).read()
    assert not read.whole
    assert read.failure is not None


def test_a_list_that_counts_rows_and_shows_none_proves_nothing() -> None:
    read = all_tasks()
    while asked := read.next_commands(50):
        for number, _ in asked:
            read.accept(number, Answer(value=[], total=PAGE + 1))
    assert not read.whole
    assert read.failure is not None


def test_an_answer_that_failed_fails_the_list() -> None:
    read = all_tasks()
    ((number, _), *_) = read.next_commands(50)
    read.accept(number, Answer(failure=Failure(FailureKind.METHOD, "no", "no")))
    assert (read.whole, read.next_commands(50)) == (False, [])
    assert read.failure is not None


def test_a_row_that_cannot_be_read_fails_the_list() -> None:
    for row in ({"ID": True}, {"ID": "x"}, "text"):
        read = all_tasks()
        ((number, _), *_) = read.next_commands(50)
        read.accept(number, Answer(value=[row], total=1))
        assert read.failure is not None
    read = all_tasks()
    ((number, _), *_) = read.next_commands(50)
    read.accept(number, Answer(value="text", total=1))
    assert read.failure is not None


def test_a_task_that_does_not_say_whose_it_is_or_whether_it_waits_fails_the_list() -> None:
    for odd in ("WORKFLOW_ID", "USER_ID", "STATUS", "USER_STATUS"):
        for value in (None, "", True):
            read, one = all_tasks(), tasks_of("w")
            ((number, _), *_) = read.next_commands(50)
            read.accept(number, Answer(value=[{**task(1), odd: value}], total=1))
            one.next_commands()
            one.accept([Answer(value=[{**task(1), odd: value}], total=1)])
            told = (read.failure is None, one.failure is None)
            # an empty id is no workflow's: such a row concerns nobody
            assert told == ((True, True) if (odd, value) == ("WORKFLOW_ID", "") else (False, False))


def test_a_list_beyond_all_measure_is_not_planned() -> None:
    read = all_tasks()
    for number, command in read.next_commands(50):
        order = command.params["ORDER"]
        assert isinstance(order, Mapping)
        ids = range(1, 51) if order["ID"] == "ASC" else range(10**9, 10**9 - 50, -1)
        read.accept(number, Answer(value=[task(one) for one in ids], total=3 * 10**7, next=50))
    assert read.failure is not None
    assert read.failure.code == "too_long"


def test_rows_that_come_faster_than_they_are_read_are_read_in_ranges_too() -> None:
    tasks = Tasks(of(200))
    read, news = all_tasks(), 0
    while asked := read.next_commands(50):
        for number, command in asked:
            read.accept(number, tasks.answer(command))
        if tasks.asked > 2 and news < 3:  # after each of the first rounds
            news += 1
            last = tasks.rows[-1][0]
            tasks.rows += [(last + 1 + place, 1) for place in range(70)]
    assert read.whole
    assert keys(read) == set(tasks.rows)


def test_a_row_that_can_be_seen_later_than_a_higher_one_is_seen() -> None:
    late = (1_000_195, 1)  # its number was given out, and another hit was faster
    tasks, read = Tasks([key for key in of(200, each=1) if key != late]), all_tasks()
    while asked := read.next_commands(50):
        for number, command in asked:
            if is_range(command) and late not in tasks.rows and "<=ID" not in str(command.params):
                tasks.rows.append(late)
            read.accept(number, tasks.answer(command))
    assert read.whole
    assert late in keys(read)


def test_a_list_that_never_stops_growing_is_given_up() -> None:
    tasks, read = Tasks(of(200)), all_tasks()
    while asked := read.next_commands(50):
        for number, command in asked:
            read.accept(number, tasks.answer(command))
        last = tasks.rows[-1][0]
        tasks.rows += [(last + 1 + place, 1) for place in range(70)]
    assert read.failure is not None
    assert read.failure.code == "incomplete"


def is_range(command: Command) -> bool:
    given = command.params["FILTER"]
    return isinstance(given, Mapping) and ">ID" in given


def no_range(there: Tasks, command: Command) -> Answer:
    return Answer(value=[], total=0) if is_range(command) else there.answer(command)


def low_total(there: Tasks, command: Command) -> Answer:
    told = there.answer(command)
    assert isinstance(told.value, list)
    return replace(told, total=len(told.value))


def negative(there: Tasks, command: Command) -> Answer:
    return replace(there.answer(command), value=[], total=-1)


def repeated(there: Tasks, command: Command) -> Answer:
    told = there.answer(command)
    assert isinstance(told.value, list)
    return replace(told, value=[*told.value[:-1], told.value[0]]) if is_range(command) else told


def one_end(there: Tasks, command: Command) -> Answer:
    order = command.params["ORDER"]
    last = isinstance(order, Mapping) and order["ID"] == "DESC"
    return Answer(value=[], total=0) if last else there.answer(command)


@pytest.mark.parametrize("told", [no_range, low_total, negative, repeated, one_end])
def test_answers_that_contradict_themselves_or_each_other_prove_nothing(
    told: Callable[[Tasks, Command], Answer],
) -> None:
    there, read = Tasks(of(120, each=1)), all_tasks()
    while asked := read.next_commands(50):
        for number, command in asked:
            read.accept(number, told(there, command))
    assert not read.whole
