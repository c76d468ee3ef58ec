"""Writes what people are told: the reason, the names of what was stopped, the decision.

A title may have been written by anybody, also by a stranger in a form on a website. The portal
obeys BB-code in comments and notifications, `#BR#` and HTML in notifications, and makes links of
addresses (modules crm, lib/timeline/commentcontroller.php; im, lib/text.php). So what is taken from
the portal is made harmless by other characters: what one version of the portal shows as an escape,
another obeys.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, tzinfo

from responder.model import Action, Document

TITLE_LENGTH = 250  # of a workflow's state: its column has 255 (module bizproc, STATE_TITLE)
_NAME_LENGTH = 120
_REASON_LENGTH = 1000
_LOOK_ALIKES = str.maketrans({"[": "(", "]": ")", "<": "(", ">": ")"})
_BREAK = re.compile(r"#(?=br#)", re.IGNORECASE)
_ENTITY = re.compile(r"&(?=#?\w+;)")
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The names of what is told of: a workflow on a document, the decision, and the reason."""

    decision_id: str
    document: Document
    title: str | None
    template: str | None
    action: Action
    because: str | None


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval that a stop needs; `until` is when it lapses, where that is known."""

    until: datetime | None = None


def harmless(text: str) -> str:
    """Return a text in one line that the portal shows as it is, and obeys nowhere."""
    shown = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)
    shown = _BREAK.sub("# ", _ENTITY.sub("& ", shown.translate(_LOOK_ALIKES)))
    return " ".join(shown.split())


def without_links(text: str) -> str:
    """Return a harmless text in which no address is made a link."""
    return _ADDRESS.sub(" ", harmless(text))


def shortened(text: str, longest: int) -> str:
    """Return a text that is no longer than so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def state_title(because: str | None, rule: str) -> str:
    """Return the title that a terminated workflow shows in the portal."""
    said = harmless(because or "") or f"Stopped by rule {rule}"
    return shortened(said, TITLE_LENGTH)


def stopped(subject: Subject) -> str:
    """Return what is told of a workflow that was stopped."""
    gone = "" if subject.action is Action.TERMINATE else ", and deleted with its data"
    return _said(f"Stopped{gone}: {_names(subject)}.", subject)


def warning(subject: Subject, *, at: datetime | None, asks: Approval | None, zone: tzinfo) -> str:
    """Return what is told beforehand: what will happen, when, and on what conditions.

    `at` is when the rule's `wait` is over; None where there is none. With `asks` it is done only
    once somebody has approved it.
    """
    verb = "stopped" if subject.action is Action.TERMINATE else "stopped and deleted with its data"
    when = "" if at is None else f" at {_moment(at, zone)}"
    conditions = ["what led to it still holds then"] if at is not None else []
    if asks is not None:
        by = "" if asks.until is None else f" by {_moment(asks.until, zone)}"
        conditions.append(f"an administrator approves it{by}")
    will = f"Will be {verb}{when}, if {' and '.join(conditions)}"
    return _said(f"{will}: {_names(subject)}.", subject)


def with_mark(text: str, mark: str) -> str:
    """Return a comment's text with the mark by which it is looked for."""
    return f"{text} {mark}"


def _said(what: str, subject: Subject) -> str:
    because = shortened(harmless(subject.because or ""), _REASON_LENGTH)
    reason = because if not because or because.endswith((".", "!", "?")) else f"{because}."
    return " ".join(part for part in (what, reason, f"({subject.decision_id})") if part)


def _names(subject: Subject) -> str:
    """Return the workflow's and the document's names: `“Approval” on deal 759 “Acme”`."""
    document = subject.document
    workflow = _quoted(subject.template) or "a workflow"
    title = _quoted(subject.title)
    on = without_links(document.ref.replace(":", " ", 1).replace("item_", "item of "))
    return f"{workflow} on {on}" + (f" {title}" if title else "")


def _moment(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"


def _quoted(name: str | None) -> str | None:
    said = shortened(without_links(name or ""), _NAME_LENGTH)
    return f"“{said}”" if said else None
