"""The model can fail where facts are read or meant wrongly: each of these mistakes is found by it.

As in `test_model_finds_gaps`: each row has the profile that looks at that fact, how the mistake is
made, and what is found, in the words of the watcher.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import strategies as st

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Failure
from responder.bitrix24.fetch import list_elements
from responder.bitrix24.fetch.items import ItemRead
from responder.bitrix24.fetch.links import LinksRead
from responder.bitrix24.fetch.list_elements import ElementRead
from responder.bitrix24.fetch.smart_types import TypesRead
from responder.bitrix24.fetch.stages import StagesRead
from responder.judge.recheck import recheck
from responder.model import Document, Group, Situation, Unknown
from responder.rules import decide
from responder.rules.calendars import EVERY_DAY, Calendar
from responder.rules.facts.links import Linked
from responder.rules.keep import Keep
from tests.random import model_policies as some
from tests.random.model_facts import ELEMENTS
from tests.random.model_finds import found
from tests.random.model_profiles import GROUPS, LINKS, LISTS, WORKED, Profile
from tests.random.model_rules import EVERY, Policy, Rule
from tests.random.test_model import folder as folder
from tests.random.test_model_finds_gaps import RUNS, STEPS, Gap, Patch

GROUP, HOURS, FACT, IN_LIST = Keep.group, Calendar._hours, LinksRead._fact, documents.in_list
FACTS = ElementRead.facts


def an_unknown_group_is_one_of_its_own(patch: Patch) -> None:
    """Have `keep` choose although it is not known of which group one is."""

    def group(self: Keep, facts: Mapping[str, object]) -> Group:
        found = GROUP(self, facts)
        return ("unknown",) if isinstance(found, Unknown) else found

    patch.setattr(Keep, "group", group)


def those_in_no_group_are_in_one(patch: Patch) -> None:
    """Have `keep` take what has no value, or several, for a group."""

    def group(self: Keep, facts: Mapping[str, object]) -> Group:
        found = GROUP(self, facts)
        return ("none",) if found is None else found

    patch.setattr(Keep, "group", group)


def weekends_are_working_days(patch: Patch) -> None:
    """Have every day of the week counted."""

    def hours(self: Calendar, day: date) -> tuple[datetime, datetime]:
        return HOURS(replace(self, days=EVERY_DAY), day)

    patch.setattr(Calendar, "_hours", hours)


def holidays_are_working_days(patch: Patch) -> None:
    """Have holidays counted."""
    patch.setattr(Calendar, "_is_holiday", lambda *_given: False)


def what_a_link_hides_is_empty(patch: Patch) -> None:
    """Have a company that may not be read taken for none."""

    def fact(self: LinksRead, item: ItemRead, linked: Linked) -> tuple[object, object]:
        value, failure = FACT(self, item, linked)
        return None if isinstance(value, Unknown) else value, failure

    patch.setattr(LinksRead, "_fact", fact)


def what_a_list_hides_is_empty(patch: Patch) -> None:
    """Have what is not known of an element taken for empty."""

    def facts(
        self: ElementRead, paths: frozenset[str], stages: StagesRead, types: TypesRead
    ) -> tuple[dict[str, object], Failure | None]:
        found, failure = FACTS(self, paths, stages, types)
        known = {path: None if isinstance(one, Unknown) else one for path, one in found.items()}
        return known, failure

    patch.setattr(ElementRead, "facts", facts)


def every_list_is_the_same(patch: Patch) -> None:
    """Have each element taken for one of list 23, and found in whichever it is."""

    def list_params(document: Document) -> dict[str, object]:
        number = ELEMENTS.get(document.item_id, "list_23").removeprefix("list_")
        return {"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": number}

    patch.setattr(documents, "in_list", lambda document, _iblock: IN_LIST(document, 23))
    patch.setattr(list_elements, "list_params", list_params)
    patch.setattr(list_elements, "row_of", row_of_any_list)


def row_of_any_list(
    document: Document, value: Sequence[Mapping[str, object]]
) -> Mapping[str, object] | None:
    """Return an element's row, of whichever list it is."""
    own = (row for row in value if str(row["ID"]) == document.item_id)
    return next(({name.lower(): field for name, field in row.items()} for row in own), None)


def any_element_answers(patch: Patch) -> None:
    """Have the first element in an answer taken for the one that was asked for."""

    def row_of(
        _document: Document, value: Sequence[Mapping[str, object]]
    ) -> Mapping[str, object] | None:
        return next(({name.lower(): one for name, one in row.items()} for row in value), None)

    patch.setattr(list_elements, "row_of", row_of)
    patch.setattr(ElementRead, "_is_mine", lambda *_given: True)


def guards_of_lists_need_a_list(patch: Patch) -> None:
    """Have an element judged of which it is not known whether a guard is about it."""

    def why_unlisted(_ruleset: object, situation: Situation) -> Unknown | None:
        return situation.workflows if isinstance(situation.workflows, Unknown) else None

    patch.setattr(decide, "_why_unlisted", why_unlisted)


def by(
    profile: Profile, rule: Rule, guards: Sequence[Rule] = (), starters: Sequence[str] = ("1",)
) -> Profile:
    """Return a profile in which one rule is played."""
    scene = replace(profile.scene, starters=tuple(starters))
    return replace(profile, policies=st.just(Policy(file=(*guards, rule))), scene=scene)


EACH = Rule(id="one-each", when=(EVERY,), tests=(some.OF_BOTH,), keep="newest")
OVER = Rule(id="leave-over", when=(EVERY,), tests=(some.OF_LEAVE, some.DONE))
ALL = Rule(id="often", when=(EVERY, "robot"), tests=(some.OF_LEAVE,))
LOST = Rule(id="lost-deal", when=("deal.updated",), tests=(some.OF_61,), unless=(some.OF_BANKS,))
STALE = Rule(id="stale", when=("deal.updated",), tests=(some.OF_BOTH, some.OLDER))
OPEN = Rule(id="keep-open", then="leave", tests=(some.OPEN,))
MISTAKES = [
    Gap(
        plant=an_unknown_group_is_one_of_its_own,
        profile=by(GROUPS, replace(EACH, per=("starter.department",)), starters=("8", "9")),
        words="the group of .* is unknown",
    ),
    Gap(
        plant=those_in_no_group_are_in_one,
        profile=by(GROUPS, replace(EACH, per=("starter.department",)), starters=("7", "0")),
        words="which is in no group",
    ),
    Gap(
        plant=weekends_are_working_days,
        profile=by(WORKED, STALE),
        words="stale does not condemn",
    ),
    Gap(
        plant=holidays_are_working_days,
        profile=by(WORKED, STALE),
        words="stale does not condemn",
        seed=11,
    ),
    Gap(
        plant=what_a_link_hides_is_empty,
        profile=by(LINKS, LOST),
        words="lost-deal does not condemn",
        seed=16,
    ),
    Gap(
        plant=what_a_list_hides_is_empty,
        profile=by(LISTS, replace(OVER, tests=(some.OF_LEAVE,), unless=(some.OPEN,))),
        words="leave-over does not condemn",
    ),
    Gap(
        plant=every_list_is_the_same,
        profile=by(LISTS, OVER),
        words="leave-over does not condemn",
    ),
    Gap(
        plant=any_element_answers,
        profile=by(replace(LISTS, parts=replace(LISTS.parts, few=1)), OVER),  # by pages
        words="leave-over does not condemn",
    ),
    Gap(
        plant=guards_of_lists_need_a_list,
        profile=by(LISTS, ALL, guards=[OPEN]),
        words="the guard keep-open protects it",
        seed=3,
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.plant.__name__)
def test_a_fact_that_is_mistaken_is_found(
    folder: Path, migrated_file: Path, monkeypatch: Patch, mistake: Gap
) -> None:
    mistake.plant(monkeypatch)
    found(
        folder,
        migrated_file,
        mistake.profile,
        mistake.words,
        runs=RUNS,
        steps=STEPS,
        seed=mistake.seed,
    )


def test_a_stop_in_another_group_than_when_it_was_condemned_is_found(
    folder: Path, migrated_file: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(recheck, "_has_left_its_group", lambda *_given: False)
    model = GROUPS.placed(folder, migrated_file)()
    by_company = replace(EACH, per=("deal.company_id",), wait=60)
    model.set_up(Policy(file=(by_company,)), True)
    model.go_on({}, {})
    model.run(model.world.pass_time(301.0))
    model.go_on({}, {})
    model.run(model.world.change_deal(1, "companyId", 17))
    model.run(model.world.pass_time(61.0))
    with pytest.raises(AssertionError, match="is in another group than when one-each"):
        model.go_on({}, {})
    model.teardown()
