"""What a document is linked to decides, for events and schedules; where unknown, nothing dies."""

import pytest

from tests.support.rounds import Driving
from tests.support.stories import Tell, a_deal, after, begin, outcomes, rule, rules
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal

DISMISSED = ", deal.assigned_by.active: false, deal.company.industry: IT"


@pytest.mark.parametrize("when", ["[deal.updated]", "[{every: 5m}]"])
def test_it_is_read_whatever_sets_the_rule_off(tell: Tell, when: str) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        sandbox = there.sandbox
        sandbox.add_item(4, 17, industry="IT")
        sandbox.add_item(4, 18, industry="IT")
        sandbox.add_user(8, active=False)
        a_deal(there, 1, "gone", companyId=17, assignedById=8)
        a_deal(there, 2, "there", companyId=17, assignedById=1)
        a_deal(there, 3, "nobodys", companyId=17, assignedById=0)
        a_deal(there, 4, "secret", companyId=18, assignedById=8)
        a_deal(there, 5, "hidden", companyId=17, assignedById=404)
        sandbox.denied_items.add((4, 18))
        if when == "[deal.updated]":
            there.deliver([1, 2, 3, 4, 5])
            await there.until_idle()
        else:
            await after(there, minutes=6)
        await there.come_to_rest()
        assert sandbox.killed == ["gone"]
        assert outcomes(there) == ["killed"]

    tell(rules(rule(when, tests=DISMISSED)), story)


def test_a_company_that_could_not_be_read_is_read_again(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        there.sandbox.add_item(4, 5, industry="IT")
        a_deal(there, 1, "a")
        there.sandbox.fail_next("crm.item.list", "500", times=1)
        there.deliver([1])
        await there.until_idle()
        assert there.sandbox.killed == []
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(rules(rule("[deal.updated]", tests=", deal.company.industry: IT")), story)


def test_a_stop_that_waited_is_cleared_where_the_link_leads_elsewhere_by_then(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        there.sandbox.add_item(4, 5, industry="IT")
        there.sandbox.add_item(4, 6, industry="FOOD")
        a_deal(there, 1, "a")
        there.deliver([1])
        await there.until_idle()
        a_deal(there, 1, companyId=6)
        await after(there, minutes=11)
        assert there.sandbox.killed == []
        assert outcomes(there) == ["cleared"]

    tell(rules(rule("[deal.updated]", "wait: 10m", tests=", deal.company.industry: IT")), story)
