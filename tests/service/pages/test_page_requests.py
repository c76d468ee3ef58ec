"""What nobody types into an address or a form is answered, and is no error of ours."""

from pathlib import Path
from urllib.parse import quote

import pytest

from responder.store.database.database import Database
from tests.service.pages.visiting import HASHED, pages, settings
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

NAMES = ("q", "rule", "outcome", "action", "portal", "from", "to", "before")
ODD = ("\0", "main-999999999-999999999", "\0-1-1", "0-\0-1-1", "crm|\0|X", "deal \0", "9" * 18)
FORMS: tuple[dict[str, str], ...] = (
    {},
    {"decision": "\0-1-1"},
    {"portal": "\0"},
    {"sure": "yes", "portal": "elsewhere"},
)


def test_odd_addresses_and_forms_are_no_errors_of_ours(database: Database, tmp_path: Path) -> None:
    given = settings(tmp_path, anna=HASHED)
    with pages(database, given, logged_in=True) as visitor:
        asked = [
            f"{page}{name}={quote(odd)}"
            for page in ("/decisions?", "/rules?")
            for name in NAMES
            for odd in ODD
        ]
        asked += ["/decisions/%00-1-1", "/revisions/%00"]
        answers = {path: visitor.get(path).status for path in asked}
        csrf = visitor.get("/status").csrf
        for path in ("/decisions/%00-1-1/approve", "/decisions/%00-1-1/cancel", "/rules/%00/rearm"):
            for form in FORMS:
                for sure in ({}, {"sure": "yes"}):
                    sent = {"csrf": csrf, **form, **sure}
                    answers[f"{path} {sent}"] = visitor.post(path, sent).status
    assert {path: status for path, status in answers.items() if status >= 500} == {}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_portal_that_is_not_there_is_not_all_of_them(database: Database, tmp_path: Path) -> None:
    given = settings(tmp_path, anna=HASHED)
    with pages(database, given, logged_in=True) as visitor:
        answer = visitor.do("/rules/lost-deal/rearm", portal="elsewhere")
        assert answer.status == 404
        assert "There is no portal elsewhere" in answer.words
        assert visitor.do("/rules/lost-deal/rearm", portal="main").status == 303
