"""What strangers sent is shown as what it is; colours can be read; values are cut, never lost."""

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

import responder.service.pages
from responder.bitrix24.document_links import portal_page
from responder.bitrix24.documents import from_triple, of_item
from responder.journal.naming.names_in_words import document_in_words
from responder.service.pages.rendering import (
    Renderer,
    ago,
    marked_up,
    moment,
    relative,
    value_text,
    visible,
)
from tests.service.pages.visiting import settings

TEMPLATES = Path(responder.service.pages.__file__).parent / "templates"
RENDERER = Renderer()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Сделка №5 😀 e\u0301", "Сделка №5 😀 e\u0301"),
        ("two\nlines\tand", "two\nlines\tand"),
        ("a\u202eb\u2066c", "a[U+202E]b[U+2066]c"),
        ("\x1b[31m\r\x00\x7f", "[U+001B][31m[U+000D][U+0000][U+007F]"),
        ("zero\u200bwidth\ufeff\u2028", "zero[U+200B]width[U+FEFF][U+2028]"),
        ("\ud800", "[U+D800]"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
    ],
)
def test_what_hides_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_text_becomes_markup_or_turns_the_line(text: str) -> None:
    page = RENDERER.page("message.html", _message(text))
    assert "<script" not in page.lower()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", page)
    page.encode()


def _message(text: str) -> dict[str, object]:
    return {
        "admin": None,
        "alarms": (),
        "done": None,
        "path": "/",
        "title": text,
        "sentences": (text + "<script>",),
        "forward": None,
        "back": "/",
    }


def test_values_are_written_as_they_are() -> None:
    assert value_text("2") == "2"
    assert value_text(2) == "2"
    assert value_text(["a", None, True]) == '["a", null, true]'
    assert value_text({"ключ": 1}) == '{"ключ": 1}'


def test_an_instant_is_written_for_people_and_machines() -> None:
    at = datetime(2026, 9, 4, 12, 0, 3, tzinfo=timezone(timedelta(hours=3)))
    shown = moment(at)
    assert 'datetime="2026-09-04T09:00:03.000Z"' in shown
    assert ">4 Sep 2026, 09:00:03 <abbr>UTC</abbr>" in shown
    assert moment(at.astimezone(UTC).isoformat()) == shown
    assert 'title="2026-09-04 09:00:03 UTC"' in shown
    in_moscow = moment(at, ZoneInfo("Europe/Moscow"))
    assert ">4 Sep 2026, 12:00:03 <abbr>MSK</abbr>" in in_moscow
    assert 'title="2026-09-04 09:00:03 UTC"' in in_moscow


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (2, "just now"),
        (-2, "in a moment"),
        (200, "3 minutes ago"),
        (-7200, "in 2 hours"),
        (6 * 86400, "6 days ago"),
        (30 * 86400, "25 Aug, 15:00"),
        (400 * 86400, "20 Aug 2025, 15:00"),
        (-8 * 86400, "2 Oct, 15:00"),
    ],
)
def test_a_list_says_how_long_ago_something_was(seconds: int, shown: str) -> None:
    now = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
    at = now - timedelta(seconds=seconds)
    written = relative(at, now, ZoneInfo("Europe/Moscow"))
    assert f">{shown}</time>" in written
    assert f'title="{at:%Y-%m-%d %H:%M:%S} UTC"' in written
    assert moment(None) == Markup("")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (150, "2 minutes"), (7300, "2 hours"), (1e6, "11 days")],
)
def test_lengths_of_time_are_rough(seconds: float, words: str) -> None:
    assert ago(seconds) == words


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("deal:759", "deal 759"),
        (["crm", "CCrmDocumentDeal", "DEAL_759"], "deal 759"),
        ("item_147:5", "item of smart process 147 5"),
        ("lists|BizprocDocument|777", "document 777 of lists"),
        (None, "no document"),
        ("what is this", "what is this"),
    ],
)
def test_documents_are_named_in_words(document: object, words: str) -> None:
    assert document_in_words(document) == words


@pytest.mark.parametrize(
    ("kind", "item", "path"),
    [
        ("deal", "759", "/crm/deal/details/759/"),
        ("lead", "1", "/crm/lead/details/1/"),
        ("contact", "1", "/crm/contact/details/1/"),
        ("company", "1", "/crm/company/details/1/"),
        ("quote", "1", "/crm/type/7/details/1/"),
        ("invoice", "1", "/crm/type/31/details/1/"),
        ("item_147", "5", "/crm/type/147/details/5/"),
        ("task", "5", "/company/personal/user/0/tasks/task/view/5/"),
    ],
)
def test_the_portals_page_is_linked(tmp_path: Path, kind: str, item: str, path: str) -> None:
    document = of_item(kind, item)
    assert document is not None
    link = portal_page(settings(tmp_path), "main", document)
    assert link == f"https://main.example{path}"


def test_an_unknown_kind_and_an_unknown_portal_have_no_link(tmp_path: Path) -> None:
    other = from_triple("lists", "BizprocDocument", "777")
    strange = from_triple("evil", "x", "javascript:alert(1)")
    deal = of_item("deal", "1")
    assert deal is not None
    for portal, document in (("main", other), ("main", strange), ("gone", deal)):
        assert portal_page(settings(tmp_path), portal, document) is None


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_can_be_read_in_light_and_dark() -> None:
    light, dark = (TEMPLATES / "pages.css").read_text().split("prefers-color-scheme: dark")[:2]
    day = _colours(light)
    night = day | _colours(dark.partition("* {")[0])
    for theme in (day, night):
        pairs = list(product(("ink", "soft", "accent"), ("ground", "card")))
        pairs += [(tone, f"{tone}-wash") for tone in ("red", "violet", "green", "amber", "accent")]
        pairs += [(tone, "card") for tone in ("red", "violet", "green", "amber")]
        pairs += [("ink", "red-wash"), ("ink", "green-wash"), ("ink", "amber-wash")]
        pairs += [("accent-ink", "accent"), ("soft", "amber-wash"), ("soft", "accent-wash")]
        for text, ground in pairs:
            low, high = sorted((_luminance(theme[text]), _luminance(theme[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_templates_ask_for_nothing_elsewhere_and_have_no_script() -> None:
    for path in TEMPLATES.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
        assert "<script" not in text
        assert "| safe" not in text
        assert " on" + "click" not in text


def test_a_sentence_shows_code_and_instants_and_nothing_else_as_markup() -> None:
    at = "2026-11-25T18:22:58.578Z"
    text = f"held: `responder approve main-7-1`; lapses at {at} <b>`<i>\u202e`</b>"
    assert marked_up(text) == (
        f"held: <code>responder approve main-7-1</code>; lapses at {moment(at)} "
        "&lt;b&gt;<code>&lt;i&gt;[U+202E]</code>&lt;/b&gt;"
    )
    assert marked_up("one ` and 2026-99-99T99:99:99Z") == "one ` and 2026-99-99T99:99:99Z"


def test_a_long_sentence_is_cut_before_its_code() -> None:
    assert marked_up("it trips; `responder rearm x`", 15) == "it trips; …"
    assert marked_up("short", 5) == "short"
