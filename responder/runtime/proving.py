"""Reads the evidence of what is condemned, before anything is committed or called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from responder.bitrix24 import evidence
from responder.bitrix24.evidence import Evidence, Missing
from responder.runtime import rejudging
from responder.runtime.means import Means
from responder.runtime.planning import Plan
from responder.runtime.rejudging import Rejudged

GOOD_FOR = timedelta(seconds=120)

Proved = tuple[list[Plan], list[Rejudged], dict[str, Evidence | Missing]]


class Proofs:
    """The evidence of one portal's condemned workflows, kept for a call that is put off."""

    def __init__(self, means: Means) -> None:
        self._lane = means.lane
        self._templates = means.templates
        self._now = means.now
        self._kept: dict[str, tuple[datetime, Evidence]] = {}

    async def prove(self, plans: Sequence[Plan], rejudged: Sequence[Rejudged]) -> Proved:
        """Read what is missing, and put off what has no evidence. Then wait for the call's turn."""
        condemned = [w for plan in plans for w in plan.condemned]
        condemned += [one.verdict.workflow for one in rejudged if one.step.call and one.verdict]
        now = self._now()
        proofs = self._lately(now)
        unproved = [workflow for workflow in condemned if workflow.id not in proofs]
        if unproved:
            proofs |= await evidence.gather(self._lane.send, unproved, self._templates, now)
        self._kept = {
            key: self._kept.get(key, (now, proof))
            for key, proof in proofs.items()
            if isinstance(proof, Evidence)
        }
        missing = {key: proof for key, proof in proofs.items() if isinstance(proof, Missing)}
        if condemned:
            await self._lane.turn()
        return (
            [rejudging.unproved(plan, missing, now) for plan in plans],
            [_put_off(one, missing, now) for one in rejudged],
            proofs,
        )

    def _lately(self, now: datetime) -> dict[str, Evidence | Missing]:
        return {
            key: proof
            for key, (at, proof) in self._kept.items()
            if timedelta(0) <= now - at < GOOD_FOR
        }


def _put_off(one: Rejudged, missing: Mapping[str, Missing], now: datetime) -> Rejudged:
    found = missing.get(one.stop.workflow_id)
    if found is None or not one.step.call:
        return one
    standing = rejudging.standing_of(one.stop)
    return replace(one, step=rejudging.without_evidence(standing, found, now))
