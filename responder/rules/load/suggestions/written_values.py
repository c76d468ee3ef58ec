"""Guesses which value was meant by one that is written as people write values elsewhere.

Numbers come with spaces, signs and currencies, days in the order of some country, ids as the portal
shows them (`CO_17`), several values with commas. A guess is only made where there is one.
"""

# ruff: noqa: RUF001  # Russian words and dashes are what is looked for
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from responder.rules.facts import values, working_time
from responder.rules.facts.fields import Type
from responder.rules.yaml_positions import NUMBER

_SPACES = " \u00a0\u2009\u202f'_"
_GROUPED = re.compile(rf"-?[0-9]{{1,3}}(?:[{_SPACES}][0-9]{{3}})+(?:[.,][0-9]+)?")
_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_SIGN = r"(?:%|₽|\$|€|[A-Z]{3}|rub|eur|usd|руб(?:\.|лей|ля|ль)?)"
_WITH_A_SIGN = re.compile(rf"(?:{_SIGN}\s*)?(-?[0-9][0-9.,{_SPACES}]*?)\s*(?:{_SIGN})?")
# As the portal writes users, companies and other items in forms, and as people number things.
_REFERENCE = re.compile(r"(?:(?:[A-Za-z]+_)+|(?:id|no\.|number)[ :]*|[#№] *)([1-9][0-9]*)", re.I)
_GERMAN = re.compile(r"-?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+|-?[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}")
_TIMES = re.compile(r"(-?[0-9]+(?:[.,][0-9]+)?)\s*(k|к|тыс\.?|т\.?р\.?|m|mio|mln|млн\.?)", re.I)
_SEPARATORS = (r"\s*[,;]\s*", r"\s+(?:or|and|или|и)\s+", r"\s*\|\|?\s*")
_RANGE = re.compile(r"(?:from\s+)?(\S+?)\s*(?:\.\.\.?|–|—|-|\bto\b)\s*(\S+)", re.I)
_NEGATED = re.compile(r"(?:not[\s_]+|no\s+|не\s+|!=?\s*|<>\s*)(\S.*)", re.I)
_EMPTY = frozenset(
    [
        "not_exists",
        "does_not_exist",
        "not_set",
        "empty",
        "none",
        "null",
        "nothing",
        "missing",
        "пусто",
        "нет",
        "-",
        "''",
    ]
)
_ANYTHING = frozenset(
    [
        "exists",
        "is_set",
        "set",
        "*",
        "any",
        "anything",
        "all",
        "not_empty",
        "filled",
        "present",
        "любой",
    ]
)
DAY_OF = (
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), "dmy"),
    (re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})"), "either"),
    (re.compile(r"(\d{4})[./-](\d{1,2})[./-](\d{1,2})"), "ymd"),
)
_BETWEEN_DAYS = (r"\s*(?:\.\.\.?|–|—|/)\s*", r"\s+(?:-|to|bis|till|until|по|до)\s+", r"(?<=\d{4})-")
_CLOCK = re.compile(r"(?:[ T]+|,? *(?:в|at|um) +)(\d{1,2}:\d{2})(?::\d{2})?")
_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2})?\s*(am|pm|h|ч)?", re.I)
_RUSSIAN_UNITS = {
    **dict.fromkeys(["с", "сек", "секунд", "секунда", "секунды"], "s"),
    **dict.fromkeys(["мин", "минут", "минута", "минуты", "м"], "m"),
    **dict.fromkeys(["ч", "час", "часа", "часов"], "h"),
    **dict.fromkeys(["д", "дн", "день", "дня", "дней", "сутки", "суток"], "d"),
    **dict.fromkeys(["нед", "неделя", "недели", "недель"], "w"),
    **dict.fromkeys(("рабочий день", "рабочих дня", "рабочих дней", "раб дня"), "wd"),
}
_NUMBER_WORDS = {
    **dict.fromkeys(["one", "один", "одна", "одну"], 1),
    **dict.fromkeys(["two", "два", "две"], 2),
    **dict.fromkeys(["three", "три"], 3),
    **{"four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
    **{"пять": 5, "fourteen": 14, "thirty": 30},
}
_COUNTS = {**_NUMBER_WORDS, **dict.fromkeys(["a", "an", "every", "each", "каждый"], 1)}
_UNITS = {
    **{"hourly": "1h", "daily": "1d", "weekly": "1w", "fortnight": "2w"},
    **{"hour": "1h", "day": "1d", "week": "1w", "minute": "1m", "second": "1s"},
    **{"ежечасно": "1h", "ежедневно": "1d", "час": "1h", "день": "1d", "неделя": "1w"},
    **{"неделю": "1w", "минуту": "1m", "half an hour": "30m", "полчаса": "30m"},
    **{"half a day": "12h", "полдня": "12h"},
}
_AGO = re.compile(r"\s+(?:ago|back|before|назад|vorher)$", re.I)
_CLOCK_LENGTH = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_MONTHS = re.compile(r"(?:(\d{1,2})\s*)?(mos?|months?|мес|месяца?|месяцев|years?|год|года|лет)\.?")
_NAMED_DAY = re.compile(r"(\d{1,2})\.? ([^\W\d_]{3,}),? (\d{4})|([^\W\d_]{3,}) (\d{1,2}),? (\d{4})")
_NAMED_MONTHS = (
    ("jan", "янв"),
    ("feb", "фев"),
    ("mar", "мар"),
    ("apr", "апр"),
    ("may", "мая", "май", "mai"),
    ("jun", "июн"),
    ("jul", "июл"),
    ("aug", "авг"),
    ("sep", "сен"),
    ("oct", "окт", "okt"),
    ("nov", "ноя"),
    ("dec", "дек", "dez"),
)
_ISO = re.compile(r"p(?:(\d+)([wd]))?(?:t(\d+)([hms]))?", re.I)
_FRACTION = re.compile(r"(\d{1,4})[.,](\d)\s*(w|d|h|m)[a-z]*")
_PARTS = {"w": (7, "d"), "d": (24, "h"), "h": (60, "m"), "m": (60, "s")}
_RUSSIAN_DURATION = re.compile(r"(\d{1,9})\s*([а-я ]+?)\.?")


def meant(written: str, type_: Type) -> str | None:
    """Return what was probably meant by a value that does not fit a fact of this type.

    A comma behind it and a remark after `//` come from other languages.
    """
    said, slashes, remark = written.partition(" //")
    if slashes:
        plain = said.strip() if _fits(said.strip(), type_) else meant(said, type_)
        return plain and f"{plain}  # {remark.strip()}"
    plain, read = written.strip().rstrip(",;"), _reads(type_)
    if plain != written and _fits(plain, type_):
        return plain
    return (
        (None if type_ is Type.DURATION else negated(plain, read))
        or _one(plain, type_)
        or _emptiness(plain)
        or _between(plain, type_)
        or several(plain, read)
    )


def read(written: str, type_: Type) -> str | None:
    """Return one value that fits a type, as it is or as it was meant; None where there is none."""
    return _reads(type_)(written.strip())


def _one(written: str, type_: Type) -> str | None:
    readers: Mapping[Type, Callable[[str], str | None]] = {
        Type.NUMBER: number,
        Type.REFERENCE: reference,
        Type.DATE: moment,
        Type.DAY: moment,
        Type.DURATION: duration,
        Type.ANY: lambda text: number(text) or moment(text),
    }
    read = readers.get(type_)
    found = read(written.strip()) if read else None
    return None if found == written else found


def number(written: str) -> str | None:
    """Return the number in `1 000`, `1,000`, `50%` or `1000 RUB`."""
    if found := _TIMES.fullmatch(written.strip()):
        factor = 1000 if found[2][0].lower() in "kкт" else 1000000
        times = Decimal(found[1].replace(",", ".")) * factor
        return f"{times.normalize():f}"
    if written.strip().lower() in _NUMBER_WORDS:
        return str(_NUMBER_WORDS[written.strip().lower()])
    found = _WITH_A_SIGN.fullmatch(written.strip())
    if found is None:
        return None
    plain = found[1].strip()
    if _GERMAN.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    elif _GROUPED.fullmatch(plain):
        plain = re.sub(f"[{_SPACES}]", "", plain).replace(",", ".")
    elif _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    else:
        plain = plain.replace(",", ".")
    return plain if NUMBER.fullmatch(plain) else None


def reference(written: str) -> str | None:
    """Return the number in `user_7`, `CO_17` or `#61`."""
    found = _REFERENCE.fullmatch(written.strip())
    return found[1] if found else None


def moment(written: str) -> str | None:
    """Return the day, or the time on it, in `24.09.2026` or `09/24/2026 12:00`."""
    if (named := _named_day(written.strip())) is not None:
        return named
    for pattern, order in DAY_OF:
        found = pattern.match(written)
        if found is None:
            continue
        rest, clock = written[found.end() :], ""
        if rest.strip():
            at = _CLOCK.fullmatch(rest)
            if at is None:
                return None
            clock = f"T{at[1]:0>5}"
        day = _day((int(found[1]), int(found[2]), int(found[3])), order)
        return day and f"{day}{clock}"
    return None


def _named_day(written: str) -> str | None:
    """Return the day in `31 December 2026` or `December 31, 2026`."""
    found = _NAMED_DAY.fullmatch(written)
    if found is None:
        return None
    name = (found[2] or found[4]).lower()[:3]
    month = next((at for at, names in enumerate(_NAMED_MONTHS, 1) if name in names), None)
    parts = (int(found[3] or found[6]), month or 0, int(found[1] or found[5]))
    return None if month is None else _day(parts, "ymd")


def days(written: str) -> str | None:
    """Return the range of days in `2026-05-01 to 2026-05-09`, or the one day in a text."""
    for separator in _BETWEEN_DAYS:
        ends = [read(end, Type.DAY) for end in re.split(separator, written.strip(), maxsplit=1)]
        if len(ends) == 2 and None not in ends:
            return f"{ends[0]}..{ends[1]}"
    return moment(written)


def is_without_zone(written: str) -> bool:
    """Return whether a text is a moment, or a day, that names no time zone."""
    found = values.date_and_time(written)
    return isinstance(found, datetime) and found.tzinfo is None


def placed(written: str) -> str:
    """Return a moment, or the beginning of a day, with a time zone as an example."""
    clock = "" if re.search("[T ]", written) else "T00:00"
    return f"{written}{clock}+03:00"


def _day(parts: tuple[int, int, int], order: str) -> str | None:
    first, second, _ = parts
    if order == "ymd":
        year, month, day = parts
    elif order == "dmy" or first > 12:
        day, month, year = parts
    elif second > 12 or first == second:
        month, day, year = parts
    else:
        return None  # 05/06/2026 is two days, according to where one lives
    try:
        return datetime(year, month, day).date().isoformat()  # noqa: DTZ001  # a day alone
    except ValueError:
        return None


def duration(written: str, *, unit: str = "d") -> str | None:
    """Return the duration in `10 minutes`, `3 working days` or a bare `30`, which are of a unit."""
    plain = _AGO.sub("", written.strip().rstrip(",;.").rstrip())
    text = plain.lower()
    if text.isascii() and text.isdigit():
        return f"{text}{unit}"
    if plain != written.strip() and values.duration(plain) is not None:
        return plain
    if text in _UNITS:
        return _UNITS[text]
    if found := _CLOCK_LENGTH.fullmatch(text):
        parts = zip(found.groups(default="0"), "hms", strict=True)
        return " ".join(f"{int(part)}{sign}" for part, sign in parts if int(part)) or None
    if found := _MONTHS.fullmatch(text):
        days = 365 if found[2][0] in "yгл" else 30
        return f"{int(found[1] or 1) * days}d"
    first, _, rest = text.partition(" ")
    if first in _COUNTS and rest:
        return duration(f"{_COUNTS[first]} {rest}", unit=unit)
    return _in_other_notation(text) or _in_words(text, plain)


def _in_other_notation(text: str) -> str | None:
    """Return the duration in `P14D`, as standards write it, or in `1.5 hours`."""
    if (found := _ISO.fullmatch(text)) and any(found.groups()):
        parts = (
            f"{found[1]}{found[2]}" if found[1] else "",
            f"{found[3]}{found[4]}" if found[3] else "",
        )
        return " ".join(filter(None, parts))
    if found := _FRACTION.fullmatch(text):
        size, smaller = _PARTS[found[3]]
        tenths = (int(found[1]) * 10 + int(found[2])) * size
        return f"{tenths // 10}{smaller}" if tenths % 10 == 0 else None
    return None


def _in_words(text: str, written: str) -> str | None:
    found = _RUSSIAN_DURATION.fullmatch(text)
    russian = _RUSSIAN_UNITS.get(found[2].strip()) if found else None
    if found is not None and russian:
        return f"{found[1]}{russian}"
    return values.duration_meant(written) or working_time.meant(written)


def is_of_working_days(written: str) -> bool:
    """Return whether a text probably means a number of working days."""
    return (duration(written) or "").endswith("wd")


def time_of_day(written: str) -> str | None:
    """Return the time of day in `3am`, `03.00` or `9`."""
    found = _TIME.fullmatch(written.strip())
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if half in ("am", "pm"):
        if not 0 < hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f'"{hour:02}:{minute:02}"' if hour < 24 and minute < 60 else None


def _emptiness(written: str) -> str | None:
    plain = written.strip().lower().replace(" ", "_")
    if plain in _EMPTY:
        return "{exists: false}"
    return "{exists: true}" if plain in _ANYTHING else None


def negated(written: str, read: Callable[[str], str | None]) -> str | None:
    """Return the test in `not 61`, whose value is read."""
    found = _NEGATED.fullmatch(written.strip())
    value = read(found[1]) if found else None
    return None if value is None else f"{{is_not: {value}}}"


def _between(written: str, type_: Type) -> str | None:
    found = _RANGE.fullmatch(written.strip())
    if found is None or type_ not in (Type.NUMBER, Type.DATE, Type.DAY, Type.DURATION):
        return None
    ends = [_reads(type_)(end) for end in found.groups()]
    return f"{{between: [{ends[0]}, {ends[1]}]}}" if None not in ends else None


def several(written: str, read: Callable[[str], str | None]) -> str | None:
    """Return the list of values in `61, 62` or `61 or 62`, each of which is read."""
    for separator in _SEPARATORS:
        parts = re.split(separator, written.strip(" []()"))
        found = [read(part) for part in parts]
        if len(parts) > 1 and None not in found:
            return f"[{', '.join(str(one) for one in found)}]"
    return None


def spaced(written: str, read: Callable[[str], str | None]) -> str | None:
    """Return the list of values in `0 1` or `0-1`, each of which is read."""
    found = [read(part) for part in re.split(r"\s+|-", written.strip()) if part]
    return f"[{', '.join(map(str, found))}]" if len(found) > 1 and None not in found else None


def several_of(written: str) -> str | None:
    """Return the list of the values in a text, whatever they are; of one value, that alone."""
    if not written.strip():
        return None
    parts = re.split(r"\s*[,;|]\s*" if re.search("[,;|]", written) else r"\s+", written.strip())
    return f"[{', '.join(part for part in parts if part)}]"


def _reads(type_: Type) -> Callable[[str], str | None]:
    """Return a reader of one value: as it is where it fits, as it was meant, or None."""

    def read(text: str) -> str | None:
        return text if _fits(text, type_) else _one(text, type_)

    return read


def _fits(text: str, type_: Type) -> bool:
    match type_:
        case Type.NUMBER | Type.REFERENCE:
            return NUMBER.fullmatch(text) is not None
        case Type.DATE | Type.DAY:
            return values.day(text) is not None
        case Type.DURATION:
            return values.duration(text) is not None or working_time.written(text) is not None
        case _:
            return False
