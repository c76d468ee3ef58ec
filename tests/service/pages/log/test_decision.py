"""The page of one decision, and the log that leads there."""

import re

import pytest

from tests.service.pages.conftest import Story
from tests.service.pages.visiting import Visitor

DECISION_IN_WORDS = "safe[U+202E]exe.fdp, 1 RUB» was killed"


def test_the_log_shows_the_newest_first_and_counts_what_stopped_nothing(
    story: Story, anna: Visitor
) -> None:
    page = anna.get("/")
    shown = re.findall(r'href="/decisions/([^"]+)"', page.text)
    assert shown == [story.asks, story.tripped, story.would, story.killed]
    assert re.search(r"[0-9]+ decisions that stopped nothing, on [2-9] documents, are", page.words)
    assert story.left in anna.get("/?show=all").text


def test_names_come_first_and_ids_beside_them(story: Story, anna: Visitor) -> None:
    words = anna.get("/?outcome=would_kill").words
    about = "Delivery check on deal 762 «Sample deal 762, 24,000.50 RUB»"
    assert words.index(about) < words.index("started by Anna Petrova")
    assert re.search(r"deal 762, workflow [0-9a-f.]+ of template 7 ", words)
    headline = f'<h1 id="title"><bdi>{about} would have been killed</bdi></h1>'
    assert headline in anna.get(f"/decisions/{story.would}").text


def test_an_address_has_no_empty_parameters(anna: Visitor) -> None:
    page = anna.get("/?q=&outcome=held&rule=&action=&from=&to=")
    assert (page.status, page.headers["location"]) == (303, "/?outcome=held")
    assert anna.get("/?q=").headers["location"] == "/"


def test_what_waits_says_until_when(story: Story, anna: Visitor) -> None:
    assert re.search(r"asks first[^.]*lapses in (23|24) hours", anna.get("/?outcome=held").words)
    assert re.search(r"Lapses in 2[34] hours ", anna.get(f"/decisions/{story.asks}").words)


def test_what_condemned_nothing_is_shown_where_it_is_asked_for(story: Story, anna: Visitor) -> None:
    assert story.nothing not in anna.get("/").text
    for query in ("show=all", "q=deal+773", "action=none"):
        page = anna.get(f"/?{query}")
        assert story.nothing in page.text
        assert "nothing stopped no workflow was running on it" in page.words
    assert "Nothing was stopped on deal 773" in anna.get(f"/decisions/{story.nothing}").words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome=killed", {"killed"}),
        ("outcome=open", {"tripped", "asks"}),
        ("action=leave", {"left"}),
        ("rule=won-deal", {"would"}),
        ("rule=lost-deal&outcome=held", {"tripped"}),
        ("q=deal+771", {"killed"}),
        ("q=DEAL_771", {"killed"}),
        ("q=761", {"left"}),
        ("q=won-deal", {"would"}),
        ("q=exe.fdp", {"killed"}),
        ("q=nothing+has+this", set()),
        ("from=2020-01-01&to=2020-01-02T12:00", set()),
        ("from=2020-01-01T00:00", {"killed", "would", "tripped", "asks"}),
        ("q=petr+sample", {"would", "asks"}),
        ("q=Delivery+24", set()),
        ("q=sample&rule=won-deal", {"would"}),
        ("q=sample&in=read&rule=won-deal", {"would"}),
        ("portal=main&outcome=left", {"left"}),
    ],
)
def test_the_log_is_searched(story: Story, anna: Visitor, query: str, found: set[str]) -> None:
    page = anna.get(f"/?{query}")
    assert page.status == 200
    shown = set(re.findall(r'href="/decisions/([^"]+)"', page.text))
    wanted = {getattr(story, name) for name in found}
    assert wanted <= shown
    assert shown & {story.killed, story.left, story.would, story.tripped, story.asks} == wanted


def test_a_workflow_is_found_by_how_its_id_begins(story: Story, anna: Visitor) -> None:
    workflow = re.search(r"workflow <code><bdi>([0-9a-f.]+)<", anna.get("/?outcome=killed").text)
    assert workflow is not None
    for text in (workflow[1], workflow[1][:12]):
        assert f"/decisions/{story.killed}" in anna.get(f"/?q={text}").text


def test_the_name_of_a_decision_leads_to_it(story: Story, anna: Visitor) -> None:
    page = anna.get(f"/?q={story.killed}")
    assert (page.status, page.headers["location"]) == (303, f"/decisions/{story.killed}")
    evaluation = story.killed.rpartition("-")[0]
    assert f"/decisions/{story.killed}" in anna.get(f"/?q={evaluation}").text


@pytest.mark.parametrize(
    "query",
    ["outcome=gone", "action=maim", "from=yesterday", "to=9999-12-31", "before=nowhere"],
)
def test_a_filter_that_cannot_be_meant_is_said_to_be_one(anna: Visitor, query: str) -> None:
    page = anna.get(f"/?{query}")
    assert page.status == 400
    assert "Nothing was looked for." in page.words


def test_paging_goes_on_where_the_page_ended(story: Story, anna: Visitor) -> None:
    before = anna.get(f"/?outcome=held&before=1-{story.tripped}")
    assert "Nothing fits." in before.words
    assert ">Newest<" in before.text


def test_a_decision_is_told_in_words_first(story: Story, anna: Visitor) -> None:
    page = anna.get(f"/decisions/{story.killed}")
    for words in (
        DECISION_IN_WORDS,
        "because all tests of rule lost-deal held",
        "The portal confirmed it.",
        "When a deal changes: if it is lost, kill each running workflow",
        "Tests of rule lost-deal",
        "deal.stage_semantic_id is F F ✓ holds",
        "unless deal.title starts with Tender",
        "Intended",
        "Outcome: killed",
        "Its open tasks, as they were before the call Approve <b>it</b>",
        "Other rules that were read",
        "keep-vip does not hold",
        "The rule, as it stood in the file",
    ):
        assert words in page.words, words
    assert page.words.index(DECISION_IN_WORDS) < page.words.index("The facts it rests on")


def test_the_place_in_the_chain_is_told(story: Story, anna: Visitor) -> None:
    page = anna.get(f"/decisions/{story.killed}")
    assert re.search(r"chain entry [0-9]+ [0-9a-f]{64}", page.words)


def test_the_document_is_linked_on_its_portal_without_the_secret(
    story: Story, anna: Visitor
) -> None:
    page = anna.get(f"/decisions/{story.killed}")
    link = re.search(r'href="(http://[^"]+)"', page.text)
    assert link is not None
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/crm/deal/details/771/", link[1])


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("left", "was left alone"),
        ("would", "would have been killed"),
        ("tripped", "is condemned, and held"),
        ("asks", "its rule asks first: somebody must approve it"),
    ],
)
def test_every_outcome_has_its_words(story: Story, anna: Visitor, which: str, words: str) -> None:
    assert words in anna.get(f"/decisions/{getattr(story, which)}").words


def test_what_the_portal_sent_is_text(story: Story, anna: Visitor) -> None:
    for path in ("/?show=all", f"/decisions/{story.killed}", "/rules", "/status"):
        page = anna.get(path)
        assert "<script" not in page.text
        assert "\u202e" not in page.text
    decision = anna.get(f"/decisions/{story.killed}")
    assert "safe[U+202E]exe.fdp" in decision.words
    assert "&lt;script&gt;" in decision.text


def test_a_long_value_is_cut_and_all_of_it_at_hand(story: Story, anna: Visitor) -> None:
    page = anna.get(f"/decisions/{story.tripped}")
    assert "all 2,500 characters" in page.words
    assert "long " * 499 in page.text


def test_a_revision_of_the_rules_can_be_read(story: Story, anna: Visitor) -> None:
    found = re.search(r'href="(/revisions/[0-9a-f]+)"', anna.get(f"/decisions/{story.left}").text)
    assert found is not None
    page = anna.get(found[1])
    assert "This revision is in force." in page.words
    assert "id: keep-vip" in page.words
    assert anna.get("/revisions/0000000000000000").status == 404


@pytest.mark.parametrize("path", ["/decisions/main-9999-1", "/decisions/%3Cscript%3E", "/nope"])
def test_what_is_not_there_is_said_not_to_be(anna: Visitor, path: str) -> None:
    page = anna.get(path)
    assert page.status == 404
    assert "There is no such" in page.words
    assert "<script" not in page.text
