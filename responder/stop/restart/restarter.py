"""Carries out restarts that people asked for, one step between rounds, each of them once.

The portal is read and the document judged afresh (`foresight`). Then the intent is committed, under
the lease like a kill's, and the call is sent. It is never sent again. Where its answer is lost, or
this process dies before it has written the outcome, nobody knows whether a workflow began: once the
portal can carry the call out no more, the document is looked at, and what began since is written
with the outcome `in_doubt`.

A pause holds kills, and no restart. A request lapses if no driver takes it up within five minutes,
so that nothing is started when nobody expects it any more.
"""

import contextlib
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import explain
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather
from responder.bitrix24.lists.paged import REMEMBERED_FOR
from responder.journal import restarts
from responder.journal.restarts import NotAsked, NotWaiting, Outcome, Restart
from responder.judge.context import Context, Interval
from responder.judge.stop_lifecycle import CALL_WITHIN, FACTS_STALE_AFTER, OVER_WITHIN
from responder.model import Document, Unknown, Workflow
from responder.rules.ruleset import Ruleset
from responder.stop.gate import Gate
from responder.stop.intents import StaleError
from responder.stop.restart import foresight
from responder.stop.restart.start_call import METHOD, command, started_in
from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

LOOK_EVERY = timedelta(seconds=1)
LAPSES_AFTER = timedelta(minutes=5)
LOOKS_FOR = timedelta(minutes=10)  # after the call, until the document could be read
_DIED = "the process ended, or its database was away, before the portal's answer was written"

log = structlog.get_logger()


class _Refusal(Exception):  # noqa: N818 - it says why nothing was done
    """A restart that is not carried out; the text says why."""


class Restarter:
    """The restarts of one portal, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._interval = Interval(LOOK_EVERY)
        self._lost: dict[str, str] = {}  # by decision, why the answer to its call is not known

    async def step(self) -> bool:
        """Carry out, or settle, one restart. Return False where there is none for now."""
        now = self._context.now()
        if not self._interval.is_over(now):
            return False
        for one in await self._context.read(restarts.unfinished):
            try:
                if await self._go_on(one, now):
                    return True
            except (LeaseLost, StoreUnavailable):
                raise
            except NotAsked:
                await self._reject(one)
            except Exception:  # it must hold up nothing else
                log.exception("a restart failed", portal=one.portal, decision=one.decision_id)
                await self._end_by_a_fault(one)
        return False

    async def _end_by_a_fault(self, one: Restart) -> None:
        """End a restart that a fault of ours keeps from going on.

        One that was called in this step is left: it is settled like one whose answer was lost.
        """
        if one.state == "waiting":
            await self._end(one, "refused", "a fault of ours kept it from being started")
        else:
            why = self._lost.get(one.decision_id, _DIED)
            unread = "What began since could not be read, by a fault of ours."
            await self._end(one, "in_doubt", f"{why}. {unread}")

    async def _go_on(self, one: Restart, now: datetime) -> bool:
        """Carry out, or settle, a restart. Return False where that must wait."""
        if one.state == "waiting" and self._gate.has_time:
            await self._carry_out(one, now)
        elif one.state == "called" and _is_over(one, now):
            await self._settle(one, self._lost.get(one.decision_id, _DIED))
        else:
            return False
        return True

    async def _carry_out(self, one: Restart, now: datetime) -> None:
        try:
            await self._start(one, now)
        except _Refusal as why:
            await self._end(one, "refused", str(why))
        except StaleError as stale:
            log.info("judged afresh", portal=one.portal, why=str(stale))
        except NotWaiting:
            log.info("a restart was withdrawn", portal=one.portal, decision=one.decision_id)

    async def _reject(self, one: Restart) -> None:
        """Start nothing, as no entry of the log says that somebody asked for it."""
        log.error(
            "a restart stands in no entry of the log: somebody else wrote it",
            portal=one.portal,
            decision=one.decision_id,
            by=one.by,
        )
        now = self._context.now()
        with contextlib.suppress(NotWaiting):
            await self._gate.write(lambda tx: restarts.reject(tx, one, now))

    async def _start(self, one: Restart, now: datetime) -> None:
        """Judge the document, commit the intent, and make the call."""
        if abs(now - one.at) > LAPSES_AFTER:  # `abs`: whoever asked has a clock of their own
            raise _Refusal("nothing took it up within five minutes; ask again")
        self._require_portal()
        ruleset = self._context.rules.ruleset
        reading = await self._read(one.document, ruleset, now)
        workflow = self._foreseen(one, reading, now)
        self._require_uncondemned(one, ruleset, reading, workflow, now)
        await self._context.client.turn()
        await self._gate.write(lambda tx: self._intend(tx, one, reading, ruleset, now))
        await self._call(one)

    def _require_portal(self) -> None:
        refused = self._context.client.breakers.refusal(METHOD)
        if refused is not None:
            raise _Refusal(f"the portal is not called for now: {explain(refused)}")

    async def _read(self, document: Document, ruleset: Ruleset, now: datetime) -> Reading:
        paths = foresight.paths_to_read(ruleset, self._context.portal, document.kind)
        send, templates = self._context.client.send, self._context.templates
        (reading,) = await gather(send, [Ask(document, paths)], templates, now)
        return reading

    def _foreseen(self, one: Restart, reading: Reading, now: datetime) -> Workflow:
        """Return the workflow that would begin; raise _Refusal where none can."""
        if reading.facts.get("document.exists") is False:
            raise _Refusal("the document does not exist any more")
        if isinstance(reading.workflows, Unknown):
            raise _Refusal(f"what runs on the document could not be read: {reading.workflows.why}")
        if any(workflow.id == one.workflow_id for workflow in reading.workflows):
            raise _Refusal(f"workflow {one.workflow_id} runs: it came back after it was stopped")
        return self._new_workflow(one, now)

    def _new_workflow(self, one: Restart, now: datetime) -> Workflow:
        templates = self._context.templates
        read_at = templates.read_at
        if read_at is None or not timedelta(0) <= now - read_at < REMEMBERED_FOR:
            raise _Refusal("the list of templates could not be read")
        if one.template_id not in templates.names:
            raise _Refusal(
                f"the portal does not list template {one.template_id}: it was deleted, or is one "
                "of robots, which start by themselves"
            )
        return foresight.new_workflow(one.template_id, templates.names[one.template_id], now)

    def _require_uncondemned(
        self,
        one: Restart,
        ruleset: Ruleset,
        reading: Reading,
        workflow: Workflow,
        now: datetime,
    ) -> None:
        """Raise _Refusal if the rules object to the new workflow, unless it is wanted anyway."""
        if one.anyway:
            return
        doubted = self._context.why_doubted
        if doubted is not None:
            raise _Refusal(f"what the rules would make of it is not known: {doubted}")
        if reading.failure is not None:
            unread = explain(reading.failure)
            raise _Refusal(f"what the rules would make of it is not known: {unread}")
        why = foresight.objection(ruleset, one.portal, one.document, reading, workflow, now)
        if why is not None:
            raise _Refusal(why)

    def _intend(
        self, tx: Connection, one: Restart, reading: Reading, ruleset: Ruleset, read_at: datetime
    ) -> None:
        now = self._context.now()
        if self._context.rules.ruleset.revision != ruleset.revision:
            raise StaleError("the rules have changed")
        if not timedelta(0) <= now - read_at <= FACTS_STALE_AFTER:
            raise StaleError("the facts have grown too old")
        assert not isinstance(reading.workflows, Unknown)
        running = [workflow.id for workflow in reading.workflows]
        restarts.call(tx, one, running, now)

    async def _call(self, one: Restart) -> None:
        """Make the call whose intent is committed, and write what came of it."""
        intended_at = self._context.now()
        commands = [command(one.document, one.template_id)]
        (answer,) = await self._context.client.send(
            commands, unless=lambda: self._why_not_called(intended_at), opens_methods=False
        )
        called = await self._context.database.reading(
            lambda conn: restarts.find(conn, one.decision_id)
        )
        if called is None:
            return
        found = started_in(answer)
        match found.what:
            case "started":
                await self._end(called, "started", started_id=found.text)
            case "refused":
                await self._end(called, "refused", f"the portal did not start it: {found.text}")
            case "failed":
                why = f"the portal did not start it: {found.text}"
                await self._settle(called, why, refused=True)
            case "lost":
                self._lost[one.decision_id] = f"the portal's answer was lost ({found.text})"
                log.warning("a restart is in doubt", portal=one.portal, decision=one.decision_id)

    def _why_not_called(self, intended_at: datetime) -> str | None:
        why = self._gate.why_not_sent()
        if why is None and not timedelta(0) <= self._context.now() - intended_at <= CALL_WITHIN:
            why = "not called: the process was stopped after its intent"
        return why

    async def _settle(self, one: Restart, why: str, *, refused: bool = False) -> None:
        """Write that a restart is in doubt, with what began on the document since its call.

        Where the portal `refused` it, it is in doubt only if something did begin.
        """
        now = self._context.now()
        if self._context.client.breakers.of_portal is None:
            send, templates = self._context.client.send, self._context.templates
            (reading,) = await gather(send, [Ask(one.document, frozenset())], templates, now)
            listed = reading.workflows
        else:
            listed = Unknown("the portal is not called for now")
        if not isinstance(listed, Unknown):
            since = [workflow for workflow in listed if workflow.id not in one.running]
            outcome: Outcome = "refused" if refused and not since else "in_doubt"
            await self._end(one, outcome, f"{why}. {_since(since)}", began=since)
        elif one.called_at is None or now - one.called_at > LOOKS_FOR:
            said = f"What began since could not be read ({listed.why})."
            await self._end(one, "in_doubt", f"{why}. {said}")
        else:
            self._lost[one.decision_id] = why  # and it is looked at again

    async def _end(
        self,
        one: Restart,
        outcome: Outcome,
        detail: str | None = None,
        *,
        started_id: str | None = None,
        began: list[Workflow] | None = None,
    ) -> None:
        self._lost.pop(one.decision_id, None)
        ids = None if began is None else [workflow.id for workflow in began]
        now = self._context.now()

        def write(tx: Connection) -> None:
            restarts.end(tx, one, outcome, now, detail=detail, started_id=started_id, began=ids)

        try:
            await self._gate.insist(write)
        except NotWaiting:  # it was withdrawn, or a commit that seemed to fail was durable
            return
        log.info(
            "a restart was concluded",
            portal=one.portal,
            decision=one.decision_id,
            outcome=outcome,
            workflow=started_id,
            detail=detail,
        )


def _is_over(one: Restart, now: datetime) -> bool:
    """Return whether the portal can carry out the call no more."""
    assert one.called_at is not None
    # `abs`: a clock that was set back must not have it wait for ever
    return abs(now - one.called_at) > OVER_WITHIN


def _since(began: list[Workflow]) -> str:
    """Return in words which workflows began on the document since the call."""
    if not began:
        return (
            "Nothing is listed on the document that began since; a workflow that waits for "
            "nothing, or for a free slot, is not listed."
        )
    named = (
        f"{workflow.id} (template {workflow.facts.get('workflow.template_id')})"
        for workflow in began
    )
    return f"On the document began since: {', '.join(named)}."
