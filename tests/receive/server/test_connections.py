"""Which connection is closed when one more comes."""

from dataclasses import dataclass

from responder.adapters.metrics import Metrics
from responder.receive.server.connections import OpenConnections, most_connections


@dataclass(eq=False)
class Caller:
    """A connection, as the room sees it."""

    active_at: float
    owed: bool = False
    gone: bool = False

    def awaits_answer(self) -> bool:
        return self.owed

    def abort(self) -> None:
        self.gone = True


def entered(room: OpenConnections, *callers: Caller) -> None:
    for caller in callers:
        assert room.make_room()
        room.add(caller)


def test_the_one_that_was_heard_from_longest_ago_goes() -> None:
    room = OpenConnections(3, Metrics())
    first, second, third, fourth = (Caller(at) for at in (1.0, 2.0, 3.0, 9.0))
    entered(room, first, second, third)
    first.active_at, second.active_at = 5.0, 4.0
    entered(room, fourth)
    assert [one.gone for one in (first, second, third, fourth)] == [False, False, True, False]
    assert room.make_room()
    assert [one.gone for one in (first, second, fourth)] == [False, True, False]


def test_one_whose_answer_is_owed_stays_and_where_all_are_owed_there_is_no_room() -> None:
    room = OpenConnections(2, Metrics())
    owed, idle = Caller(1.0, owed=True), Caller(2.0)
    entered(room, owed, idle)
    entered(room, Caller(3.0, owed=True))
    assert (owed.gone, idle.gone) == (False, True)
    assert not room.make_room()
    owed.owed = False
    assert room.make_room()
    assert owed.gone


def test_those_who_left_take_no_room_and_no_memory() -> None:
    room = OpenConnections(10, Metrics())
    stays = Caller(0.0)
    entered(room, stays)
    for at in range(1, 5_000):
        caller = Caller(float(at))
        entered(room, caller)
        room.remove(caller)
    assert not stays.gone
    assert len(room._by_age) < 200


def test_a_reserve_is_left_that_grows_with_the_portals() -> None:
    assert most_connections(1) - most_connections(40) == 4 * 40 + 32 - 64
