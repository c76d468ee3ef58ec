"""The page on testing names every verb by which a sandbox is set from outside."""

import inspect
import re

from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.control.verbs import Verbs
from tests.docs.texts import PAGES, column

PAGE = PAGES["testing"]
VERBS = Verbs(Sandbox()).table()


def test_every_verb_is_described_and_no_other() -> None:
    assert sorted(column(PAGE, "verb")) == sorted(VERBS)


def test_the_parameters_of_each_verb_are_there_and_it_is_said_which_may_be_left_out() -> None:
    for name, verb in VERBS.items():
        row = re.search(rf"^\| `{name}` \| (.*?) ?\|", PAGE, re.MULTILINE)
        assert row, name
        given, _, optional = row[1].partition("[")
        parameters = inspect.signature(verb).parameters.values()
        needed = [one.name for one in parameters if one.default is one.empty]
        others = [one.name for one in parameters if one.default is not one.empty]
        assert re.findall(r"`(\w+)`", given) == needed, name
        assert re.findall(r"(\w+)", optional) == others, name
