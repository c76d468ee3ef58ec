"""Each run is due once, over a restart and over a change of clocks."""

from datetime import datetime, timedelta

from responder.rules.ruleset import Ruleset
from responder.runtime.sweep import SWEEP, Due, due_now
from tests.rules.make import a_rule, a_ruleset

DAILY = "[{daily_at: '02:30', timezone: Europe/Berlin}]"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def due(ruleset: Ruleset, last: dict[str, datetime], now: datetime) -> tuple[list[Due], list[str]]:
    return due_now(ruleset, "main", last=last, sweep_every=timedelta(minutes=15), now=now)


def test_what_is_new_begins_to_count_and_is_not_due() -> None:
    dues, new = due(a_ruleset(a_rule(when=DAILY)), {}, at("2026-09-24T12:00+00:00"))
    assert dues == []
    assert len(new) == 1


def test_a_schedule_that_was_noted_is_not_due_again_after_a_restart() -> None:
    ruleset = a_ruleset(a_rule(when=DAILY))
    _, (key,) = due(ruleset, {}, at("2026-09-24T12:00+00:00"))
    ((first,), _) = due(ruleset, {key: at("2026-09-20T12:00+00:00")}, at("2026-09-24T12:00+00:00"))
    assert first.keys == ((key, at("2026-09-24T00:30+00:00")),)  # missed for days, caught up once
    assert due(ruleset, dict(first.keys), at("2026-09-24T12:00+00:00"))[0] == []


def test_a_time_that_exists_twice_and_one_that_does_not_are_due_once() -> None:
    ruleset = a_ruleset(a_rule(when=DAILY))
    _, (key,) = due(ruleset, {}, at("2026-09-24T12:00+00:00"))
    for start in ("2026-10-24T12:00+00:00", "2026-03-28T12:00+00:00"):
        last, fired = {key: at(start)}, 0
        for minutes in range(0, 24 * 60, 10):
            dues, _ = due(ruleset, last, at(start) + timedelta(minutes=minutes))
            fired += len(dues)
            last |= dict(dues[0].keys) if dues else {}
        assert fired == 1


def test_the_sweep_is_due_once_its_time_is_over() -> None:
    ruleset, start = a_ruleset(a_rule()), at("2026-09-24T12:00+00:00")
    assert due(ruleset, {SWEEP: start}, start + timedelta(minutes=14))[0] == []
    ((sweep,), _) = due(ruleset, {SWEEP: start}, start + timedelta(minutes=15))
    assert sweep.trigger == "sweep"


def test_a_clock_that_was_set_back_puts_off_no_sweep() -> None:
    ruleset, start = a_ruleset(a_rule()), at("2026-09-24T12:00+00:00")
    ((sweep,), _) = due(ruleset, {SWEEP: start + timedelta(hours=5)}, start)
    assert sweep.keys == ((SWEEP, start),)
    assert due(ruleset, {SWEEP: start + timedelta(seconds=1)}, start)[0] == []  # another's clock
