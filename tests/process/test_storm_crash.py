"""The program is killed in the middle of a storm: nothing is lost, nothing killed twice."""

from collections import Counter
from functools import partial
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.journal.reading import decisions
from responder.store.inbox import inbox
from tests.support.processes import event, eventually, running
from tests.support.under_load import KILL, QUICK, RULES, Crashes, lost_deal, opened

DEALS = 300


def _killed(sandbox: Sandbox, count: int) -> bool | None:
    return len(sandbox.killed) >= count or None


def test_a_program_killed_amid_a_storm_loses_nothing_and_kills_nothing_twice(
    tmp_path: Path,
) -> None:
    sandbox = Sandbox()
    sandbox.answer_seconds = 0.002
    for number in range(1, DEALS + 1):
        lost_deal(sandbox, number)
    with (
        SandboxServer(sandbox) as server,
        running(tmp_path, server.url, rules=RULES, **QUICK) as service,
    ):
        for number in range(1, DEALS + 1):
            assert service.post(event("ONCRMDEALUPDATE", number)) == 200
        crashes = Crashes(service)
        for killed in (60, 160):
            eventually(partial(_killed, sandbox, killed))
            crashes.crash(seconds=76)  # a call may have been under way: its minute is over
            server.stop()  # and so no call is
            assert len(sandbox.killed) < DEALS
            server.start()
            service.start()
        eventually(lambda: not sandbox.workflows or None, seconds=90)
        service.settled(DEALS)
    asked = Counter(str(call.params["ID"]) for call in sandbox.calls_of(KILL))
    assert max(asked.values()) == 1
    assert len(sandbox.killed) == len(set(sandbox.killed)) == DEALS
    crashes.put_back()
    with opened(service) as database:
        deliveries = list(inbox.received(database))
        assert len(deliveries) == DEALS
        assert all(one.evaluation for one in deliveries)
        outcomes = Counter(one["outcome"] for one in decisions.decisions(database))
        assert outcomes["killed"] == DEALS
        assert check_log(database)[1] == []
