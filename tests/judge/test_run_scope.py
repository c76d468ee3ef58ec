"""Each run is due once, over a restart and over a change of clocks."""

from datetime import datetime, timedelta

from responder.judge.run_scope import SWEEP, DueRun, due_now
from responder.rules.ruleset import Ruleset
from tests.rules.make import a_rule, a_ruleset

DAILY = "[{daily_at: '02:30', timezone: Europe/Berlin}]"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def due(
    ruleset: Ruleset, last: dict[str, datetime], now: datetime
) -> tuple[list[DueRun], list[str]]:
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


def test_a_last_run_in_the_future_is_noted_anew_and_the_next_is_at_its_time() -> None:
    ruleset, start = (
        a_ruleset(a_rule() + a_rule(name="hourly", when="[{every: 1h}]")),
        at("2026-09-24T12:10+00:00"),
    )
    _, keys = due(ruleset, {}, start)
    wrong = dict.fromkeys(keys, start + timedelta(days=5))
    dues, anew = due(ruleset, wrong, start)
    assert (dues, sorted(anew)) == ([], sorted(keys))
    noted = dict.fromkeys(keys, start)
    assert due(ruleset, noted, start + timedelta(minutes=14)) == ([], [])
    late = due(ruleset, noted, start + timedelta(minutes=60))[0]
    assert [one.trigger for one in late] == ["sweep", "schedule"]
    almost = dict.fromkeys(keys, start + timedelta(seconds=1))
    assert due(ruleset, almost, start) == ([], [])  # by another machine's clock


def test_the_longest_overdue_goes_first_so_that_no_schedule_starves_the_sweep() -> None:
    ruleset = a_ruleset(a_rule() + a_rule(name="busy", when="[{every: 1s}]"))
    now = start = at("2026-09-24T12:00+00:00")
    _, keys = due(ruleset, {}, now)
    last, runs = dict.fromkeys(keys, now), []
    while now < start + timedelta(hours=1):
        now += timedelta(seconds=20)  # each run takes so long
        dues, _ = due(ruleset, last, now)
        last |= dict(dues[0].keys)
        runs.append(dues[0].trigger)
    assert runs.count("sweep") == 3


def test_what_could_not_be_read_rests_and_nothing_else_does() -> None:
    ruleset = a_ruleset(a_rule() + a_rule(name="hourly", when="[{every: 1h}]"))
    start = at("2026-09-24T12:30+00:00")
    _, keys = due(ruleset, {}, start)
    last, now = dict.fromkeys(keys, start), start + timedelta(hours=2)
    for resting, left in ((SWEEP, "schedule"), (next(k for k in keys if k != SWEEP), "sweep")):
        dues, _ = due_now(
            ruleset,
            "main",
            last=last,
            sweep_every=timedelta(minutes=15),
            now=now,
            resting={resting},
        )
        assert [one.trigger for one in dues] == [left]


def test_a_sweep_asks_a_rule_about_the_kinds_that_its_events_bring() -> None:
    both = a_ruleset(a_rule(name="both", when="[deal.updated, {every: 1h}]"))
    start = at("2026-09-24T12:30+00:00")
    _, keys = due(both, {}, start)
    dues, _ = due(both, dict.fromkeys(keys, start), start + timedelta(hours=2))
    (rule,) = both.rules
    asks = {(one.trigger, kind): one.asks(rule, kind) for one in dues for kind in ("deal", "lead")}
    assert asks == {
        ("sweep", "deal"): True,
        ("sweep", "lead"): False,
        ("schedule", "deal"): True,
        ("schedule", "lead"): True,
    }
