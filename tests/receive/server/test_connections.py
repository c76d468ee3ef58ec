"""Which connection is closed when one more comes."""

from dataclasses import dataclass

from responder.adapters.metrics import Metrics
from responder.receive.server.connections import Room, most_connections


@dataclass(eq=False)
class Caller:
    """A connection, as the room sees it."""

    heard_at: float
    owed: bool = False
    gone: bool = False

    def is_owed(self) -> bool:
        return self.owed

    def let_go(self) -> None:
        self.gone = True


def entered(room: Room, *callers: Caller) -> None:
    for caller in callers:
        assert room.make()
        room.enter(caller)


def test_the_one_that_was_heard_from_longest_ago_goes() -> None:
    room = Room(3, Metrics())
    first, second, third, fourth = (Caller(at) for at in (1.0, 2.0, 3.0, 9.0))
    entered(room, first, second, third)
    first.heard_at, second.heard_at = 5.0, 4.0
    entered(room, fourth)
    assert [one.gone for one in (first, second, third, fourth)] == [False, False, True, False]
    assert room.make()
    assert [one.gone for one in (first, second, fourth)] == [False, True, False]


def test_one_whose_answer_is_owed_stays_and_where_all_are_owed_there_is_no_room() -> None:
    room = Room(2, Metrics())
    owed, idle = Caller(1.0, owed=True), Caller(2.0)
    entered(room, owed, idle)
    entered(room, Caller(3.0, owed=True))
    assert (owed.gone, idle.gone) == (False, True)
    assert not room.make()
    owed.owed = False
    assert room.make()
    assert owed.gone


def test_those_who_left_take_no_room_and_no_memory() -> None:
    room = Room(10, Metrics())
    stays = Caller(0.0)
    entered(room, stays)
    for at in range(1, 5_000):
        caller = Caller(float(at))
        entered(room, caller)
        room.leave(caller)
    assert not stays.gone
    assert len(room._by_age) < 200


def test_a_reserve_is_left_that_grows_with_the_portals() -> None:
    assert most_connections(1) - most_connections(40) == 4 * 40 + 32 - 64
