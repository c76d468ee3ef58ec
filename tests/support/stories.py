"""Stories of one portal, told by rules and played by the real rounds: how each begins."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from responder.bitrix24.sandbox.slots import Slots
from responder.stop import control
from responder.store import sweep_runs
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.support.rounds import A_SECOND, DEAL, PORTAL, Driving, driving, play

GUARD = """\
  - id: keep-vip
    when: {when}
    if: {{deal.company_id: 17}}
    then: leave
"""
KILL = """\
  - id: {name}
    mode: {mode}
    when: {when}
    if: {{workflow.template_id: 61{tests}}}
    then: kill
"""


def rule(
    when: str, *more: str, name: str = "overdue", mode: str = "enforce", tests: str = ""
) -> str:
    text = KILL.format(name=name, when=when, mode=mode, tests=tests)
    return text + "".join(f"    {line}\n" for line in more)


def rules(*parts: str) -> str:
    return "version: 1\ndefaults: {timezone: Europe/Moscow}\nrules:\n" + "".join(parts)


def a_deal(there: Driving, number: int = 1, *ids: str, **fields: object) -> list[str]:
    """Let workflows of template 61 run on a deal; return their ids."""
    there.sandbox.add_item(2, number, **{"companyId": 5, **fields})
    of = (*DEAL, f"DEAL_{number}")
    started = there.now() - timedelta(days=1)
    return [
        there.sandbox.start_workflow(of, 61, id=name, started=started + place * A_SECOND)
        for place, name in enumerate(ids)
    ]


def ask(there: Driving, name: str, *, observe: bool = False) -> int:
    """Ask for a sweep of one rule, as `responder sweep --rule` does."""
    at = there.now()
    return there.database.write(
        lambda tx: sweep_runs.add_request(
            tx, PORTAL, rule=name, observe=observe, by="somebody", at=at
        )
    )


def answer(there: Driving, request: int) -> sweep_runs.Request:
    found = there.database.read(lambda conn: sweep_runs.request(conn, request))
    assert found is not None
    return found


async def after(there: Driving, **time: float) -> None:
    there.later(**time)
    await there.until_idle()


async def begin(there: Driving, sweep_minutes: float = 0) -> None:
    """Begin a minute after some hour, with runs that count from then."""
    at = (there.now() + timedelta(hours=1)).replace(minute=1, second=0)
    there.offset += at - there.now()
    there.sweep_every = timedelta(minutes=sweep_minutes)
    await there.drive()
    await there.until_idle()


def outcomes(there: Driving, name: str = "overdue") -> list[object]:
    return [one["outcome"] for one in there.decisions() if one["rule"] == name]


def details(there: Driving, name: str = "overdue") -> list[str]:
    return [str(one["detail"]) for one in there.decisions() if one["rule"] == name]


Tell = Callable[[str, Callable[[Driving], Coroutine[object, object, None]]], None]


@pytest.fixture
def tell(tmp_path: Path, database: Database) -> Tell:
    """Give what plays a story by some rules, on a database of each kind."""
    return teller(database, tmp_path)


def teller(database: Database, place: Path) -> Tell:
    """Return what plays a story by some rules on a database."""

    def told(text: str, story: Callable[[Driving], Coroutine[object, object, None]]) -> None:
        with driving(database, place, text) as there:
            there.sandbox.slots = Slots(None)
            play(there, story)

    return told


def change_rules(there: Driving, text: str) -> None:
    there.rules_path.write_text(text, encoding="utf-8")
    there.rules.reload(at_once=True)


def incomplete(there: Driving) -> Mapping[str, datetime]:
    return there.database.read(lambda conn: sweep_runs.incomplete(conn, PORTAL))


def pause(there: Driving) -> None:
    assert control.pause(there.database, [PORTAL], by="me", at=there.now())


def resume(there: Driving) -> None:
    control.resume(there.database, [PORTAL], by="me", at=there.now())


def rearm(there: Driving, name: str = "overdue") -> None:
    control.rearm(there.database, [PORTAL], name, known=[name], by="me", at=there.now())


def call_of_a_robot(there: Driving, number: int, workflow_id: str | None) -> None:
    row = inbox.row(PORTAL, there.now(), "robot", None, f"deal:{number}", workflow_id, b"form")
    there.database.write(lambda tx: inbox.add(tx, [row]))


KEEPS = ("keep: newest", "per: [template]")


def let_go(there: Driving, what: str) -> None:
    now = there.now()
    if what == "mode: approve":
        ids = [str(one["id"]) for one in there.decisions() if one["outcome"] == "held"]
        assert control.approve(there.database, ids, by="anna", at=now).approved
    elif what == "paused":
        control.resume(there.database, [PORTAL], by="me", at=now)
    elif what == "tripped":
        control.rearm(there.database, [PORTAL], "overdue", known=["overdue"], by="me", at=now)
