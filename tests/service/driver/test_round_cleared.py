"""What waited and is cleared says why, and is not said to be cleared for another reason."""

import pytest

from tests.support.rounds import Driving
from tests.support.stories import (
    Tell,
    a_deal,
    after,
    begin,
    change_rules,
    details,
    outcomes,
    rule,
    rules,
)
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal


def test_what_is_only_observed_is_no_reason_why_another_rule_no_longer_holds(tell: Tell) -> None:
    two = rules(
        rule("[deal.updated]", name="tried", mode="observe"),
        rule("[deal.updated]", "wait: 10m", tests=", deal.company_id: 5"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.deliver([1])
        await there.until_idle()
        there.sandbox.add_item(2, 1, companyId=6)
        await after(there, minutes=11)
        assert outcomes(there) == ["cleared"]
        assert details(there) == ["if.deal.company_id is 5 no longer holds"]

    tell(two, story)


def test_what_became_true_is_no_reason_why_a_rule_no_longer_holds(tell: Tell) -> None:
    text = rules(
        rule("[deal.updated]", "wait: 10m").replace(
            "{workflow.template_id: 61}",
            "{any: [{deal.title: A}, {deal.company_id: 5}], deal.category_id: 2}",
        ),
    ).replace("    then: kill", "    every_template: true\n    then: kill")

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", title="B", categoryId=2)
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["waiting"]
        there.sandbox.add_item(2, 1, companyId=5, title="A", categoryId=3)
        await after(there, minutes=11)
        assert outcomes(there) == ["cleared"]
        assert details(there) == ["if.deal.category_id is 2 no longer holds"]

    tell(text, story)


def test_what_a_schedule_condemned_is_cleared_where_its_rule_has_none_any_more(tell: Tell) -> None:
    text = rules(rule("[{every: 1h}]", "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        await after(there, hours=1)
        assert outcomes(there) == ["waiting"]
        change_rules(there, text.replace("[{every: 1h}]", "[deal.deleted]"))
        await after(there, minutes=11)
        assert outcomes(there) == ["cleared"]
        assert there.sandbox.killed == []

    tell(text, story)
