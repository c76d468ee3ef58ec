"""State machines for one thing each: lists, groups, links, working days."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.random import model_policies as some
from tests.random.model_acts import Ends, Player, Rests
from tests.random.model_drivers import Happening


def _between(happenings: st.SearchStrategy[Happening]) -> st.SearchStrategy[dict[int, Happening]]:
    """Return what happens right before some of the first requests."""
    return st.dictionaries(st.integers(0, 6), happenings, min_size=1, max_size=2)


class Listed(Player):
    """Runs are due, while lists are worked in; robots call on their elements."""

    @rule(change=some.in_lists)
    def a_list_is_worked_in(self, change: Happening) -> None:
        self.run(self.world.happen(change))

    @rule(between=_between(some.in_lists))
    def a_run_is_due_while_a_list_is_worked_in(self, between: dict[int, Happening]) -> None:
        self.run(self.world.pass_time(301.0))
        self.go_on({}, between)

    @rule(element=some.elements, number=some.numbers)
    def a_robot_calls_on_an_element(self, element: str, number: int) -> None:
        self.run(self.world.call_robot_on_element(element, number))
        self.go_on({}, {})


class Regrouped(Player):
    """Runs are due, while deals go from one group to the next, or to none."""

    @rule(between=st.one_of(st.just({}), _between(some.in_deals)), change=some.in_deals)
    def a_run_is_due_and_deals_are_regrouped(
        self, between: dict[int, Happening], change: Happening
    ) -> None:
        self.run(self.world.pass_time(301.0))
        self.go_on({}, between)
        self.run(self.world.happen(change))  # before what was condemned has waited
        self.run(self.world.pass_time(61.0))
        self.go_on({}, {})


class Grouped(Regrouped, Ends):
    """Besides, workflows begin and end, and companies change."""

    @rule(change=some.in_links)
    def a_company_changes(self, change: Happening) -> None:
        self.run(self.world.happen(change))


class Linked(Player):
    """Events come, while what deals are linked to changes, or may be read no more."""

    @rule(change=st.one_of(some.in_deals, some.in_links))
    def a_link_changes(self, change: Happening) -> None:
        self.run(self.world.happen(change))

    @rule(between=_between(st.one_of(some.in_deals, some.in_links)), deal=some.deals)
    def an_event_comes_while_links_change(self, between: dict[int, Happening], deal: int) -> None:
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.go_on({}, between)


class Aging(Rests):
    """Hours and days pass, and workflows begin."""

    @rule(hours=st.sampled_from([1.0, 8.0, 24.0, 48.0]), deal=some.deals)
    def hours_pass(self, hours: float, deal: int) -> None:
        self.run(self.world.pass_time(hours * 3600))
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.go_on({}, {})

    @rule(deal=some.deals, template=st.sampled_from(["61", "62"]))
    def a_workflow_starts_and_an_event_comes(self, deal: int, template: str) -> None:
        self.run(self.world.start_workflow(deal, template))
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.go_on({}, {}, most=3)
