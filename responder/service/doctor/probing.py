"""Puts the questions of `doctor --probe` to a portal, and words what came."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from responder.adapters.metrics import Metrics
from responder.adapters.printable_text import printable
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.probe.interview import Interview, interview
from responder.bitrix24.probe.listening import Listener
from responder.bitrix24.probe.question import Finding, Question, Result
from responder.settings.settings import PortalSettings

WIDTH = 80
_ORDER = (Result.DIFFERS, Result.NOT_ASKED, Result.AS_EXPECTED)
_ABOUT = 10  # columns of the words before a text


async def probe(
    portal: Portal,
    given: PortalSettings,
    questions: Sequence[Question],
    now: Callable[[], datetime],
) -> Interview:
    """Put questions to a portal, within its request limit, and return what was found."""
    listener = Listener()
    portal.on_answer = listener.hear
    client = Client(
        portal,
        rate=given.requests_per_second,
        burst=given.burst,
        metrics=Metrics(),
        now=now,
    )
    try:
        return await interview(
            listener.asking(client), questions, now(), batches=lambda: listener.batches
        )
    finally:
        await portal.close()


def table(portal: str, found: Interview) -> Iterator[str]:
    """Yield the lines of the table for people: differences first, with what they lead to."""
    counts = {result: len(list(found.of(result))) for result in _ORDER}
    yield (
        f"{printable(portal)}: {counts[Result.AS_EXPECTED]} as expected, "
        f"{counts[Result.DIFFERS]} differ, {counts[Result.NOT_ASKED]} could not be asked "
        f"({found.calls} calls)"
    )
    for result in _ORDER:
        findings = list(found.of(result))
        if findings:
            yield ""
            yield result.value
        for finding in findings:
            yield from _lines(finding)


def _lines(finding: Finding) -> Iterator[str]:
    question = finding.question
    yield f"  {question.id} (§{question.section}){', crucial' if question.crucial else ''}"
    told = [("came", finding.came)]
    if finding.result is Result.DIFFERS:
        told = [
            ("asked", question.asks),
            ("expected", question.expected),
            *told,
            ("leads to", question.leads_to),
        ]
    for word, text in told:
        yield from textwrap.wrap(
            printable(text),
            WIDTH,
            initial_indent=f"    {word:<{_ABOUT}}",
            subsequent_indent=" " * (_ABOUT + 4),
        )


def as_object(portal: str, finding: Finding) -> dict[str, object]:
    """Return a finding as `--json` prints it."""
    question = finding.question
    return {
        "portal": portal,
        "id": question.id,
        "section": question.section,
        "asks": question.asks,
        "result": finding.result.value,
        "expected": question.expected,
        "came": finding.came,
        "leads_to": question.leads_to if finding.result is Result.DIFFERS else None,
        "crucial": question.crucial,
    }
