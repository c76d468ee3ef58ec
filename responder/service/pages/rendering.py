"""Renders templates, and makes text from strangers show what it is.

Jinja escapes everything that is not markup of our own. Besides, every text that a template prints
goes through `visible`: characters that hide, move the cursor or change the direction of reading are
written out, so that a title cannot look like another.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from responder.adapters import local_time
from responder.journal.naming.names_in_words import about, document_in_words, people
from responder.service.alarms.alarm_kinds import KINDS
from responder.service.pages import wording
from responder.store.canonical_json import instant_text

_FOLDER = Path(__file__).parent / "templates"
_LEFT_ALONE = frozenset("\n\t\u200c\u200d")  # a joiner changes how letters look, not what they say
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKED = re.compile(
    r"`([^`\n]{1,200})`|\b([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?Z)", re.ASCII
)
SHORT = 160
_JUST_NOW, _A_WEEK = 10, 7 * 86400  # seconds


def visible(text: str) -> str:
    """Return the text with each character that cannot be seen for what it is as `[U+202E]`."""
    lines = text.split("\n")  # most lines of a long text hide nothing, which is soon seen
    return "\n".join(line if line.isprintable() else "".join(map(_shown, line)) for line in lines)


def _shown(character: str) -> str:
    if character in _LEFT_ALONE or character.isprintable():
        return character
    if unicodedata.category(character) in _HIDDEN:
        return f"[U+{ord(character):04X}]"
    return character


def _finalize(value: object) -> object:
    """Return what a template prints: texts made visible, markup of our own unchanged."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def value_text(value: object) -> str:
    """Return a value that was read from a portal as text: a text unchanged, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def moment(at: datetime | str | None, zone: tzinfo = UTC) -> Markup:
    """Return an instant in a zone for people, with UTC for machines and under the pointer."""
    if at is None:
        return Markup("")
    exact = datetime.fromisoformat(at) if isinstance(at, str) else at
    local = exact.astimezone(zone)
    people = f"{local.day} {local:%b %Y, %H:%M:%S}"
    label = Markup(" <abbr>{}</abbr>").format(local_time.zone_label(local, zone))
    return _time(exact, Markup("{}{}").format(people, label))


def _time(at: datetime, shown: str) -> Markup:
    machine = instant_text(at)
    people = f"{machine[:10]} {machine[11:19]} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, people, shown)


def relative(at: datetime | str, now: datetime, zone: tzinfo = UTC) -> Markup:
    """Return how long ago an instant was, or how soon it will be; one of another week by its day.

    Under the pointer it stands exactly.
    """
    exact = datetime.fromisoformat(at) if isinstance(at, str) else at
    seconds = (now - exact).total_seconds()
    if abs(seconds) < _JUST_NOW:
        return _time(exact, "just now" if seconds >= 0 else "in a moment")
    if abs(seconds) >= _A_WEEK:
        local = exact.astimezone(zone)
        same_year = local.year == now.astimezone(zone).year
        day = f"{local.day} {local:%b}" if same_year else f"{local.day} {local:%b %Y}"
        return _time(exact, f"{day}, {local:%H:%M}")
    return _time(exact, f"{ago(seconds)} ago" if seconds > 0 else f"in {ago(-seconds)}")


def marked_up(text: str, most: int | None = None, zone: tzinfo = UTC) -> Markup:
    """Return a sentence with what is between backticks as code, and instants as `moment` does."""
    sentence = text if most is None or len(text) <= most else f"{_cut(text, most)}…"
    parts, end = [], 0
    for found in _MARKED.finditer(sentence):
        parts += [escape(visible(sentence[end : found.start()])), _marked(found, zone)]
        end = found.end()
    return Markup("").join([*parts, escape(visible(sentence[end:]))])


def _cut(text: str, most: int) -> str:
    """Return the beginning of a sentence, cutting no code in half."""
    head = text[:most]
    return head.rpartition("`")[0] if head.count("`") % 2 else head


def _marked(found: re.Match[str], zone: tzinfo) -> Markup:
    code, instant = found.groups()
    if code is not None:
        return Markup("<code>{}</code>").format(visible(code))
    try:
        return moment(instant, zone)
    except (ValueError, OverflowError):
        return escape(instant)


def clock(at: datetime, form: str, zone: tzinfo = UTC) -> str:
    """Return an instant in a zone in the form of `strftime`, for a picture's axis."""
    return at.astimezone(zone).strftime(form)


def ago(seconds: float) -> str:
    """Return a length of time roughly: `3 minutes`."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return _counted(int(seconds // size), unit)
    return _counted(int(seconds), "second")


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


@lru_cache(maxsize=1)
def stylesheet() -> tuple[str, bytes]:
    """Return the name of the style sheet, which changes with its content, and the content."""
    data = (_FOLDER / "pages.css").read_bytes()
    return f"pages.{hashlib.sha256(data).hexdigest()[:12]}.css", data


def icon() -> bytes:
    """Return the icon that browsers show on the tab."""
    return (_FOLDER / "icon.svg").read_bytes()


class Renderer:
    """The templates, loaded once; they say times in a zone."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            finalize=_finalize,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "moment": partial(moment, zone=zone),
            "relative": partial(relative, zone=zone),
            "clock": partial(clock, zone=zone),
            "marked_up": partial(marked_up, zone=zone),
            "value_text": value_text,
            "document": document_in_words,
            "ago": ago,
        }
        self._environment.tests["long"] = lambda text: len(text) > SHORT
        self._environment.globals |= {
            "SHORT": SHORT,
            "style": stylesheet()[0],
            "outcome_in_words": wording.outcome,
            "counted": _counted,
            "about": about,
            "alarm_kinds": KINDS,
            "people": people,
            "zone": str(zone),
        }

    def page(self, name: str, values: Mapping[str, object]) -> str:
        """Return a rendered template."""
        return self._environment.get_template(name).render(values)
