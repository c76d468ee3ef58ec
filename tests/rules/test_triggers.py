"""Which of the portal's events a trigger stands for, and which have to be registered for it."""

from datetime import timedelta

import pytest

from responder.rules import ruleset, triggers
from responder.rules.schedules import Every


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("deal.updated", {"ONCRMDEALUPDATE", "ONCRMDEALMOVETOCATEGORY"}),
        ("deal.added", {"ONCRMDEALADD"}),
        ("lead.updated", {"ONCRMLEADUPDATE"}),
        ("task.deleted", {"ONTASKDELETE"}),
        ("item_147.updated", {"ONCRMDYNAMICITEMUPDATE"}),
        ("invoice.added", {"ONCRMDYNAMICITEMADD"}),
        ("ONCRMDYNAMICITEMUPDATE_147", {"ONCRMDYNAMICITEMUPDATE_147"}),
        ("ONCRMDEALMOVETOCATEGORY", {"ONCRMDEALMOVETOCATEGORY"}),
        ("robot", set()),
    ],
)
def test_no_event_is_registered_that_repeats_another(name: str, events: set[str]) -> None:
    trigger = triggers.find(name)
    assert trigger is not None
    assert trigger.to_register == events


def test_what_acting_rules_name_in_a_portal_is_registered_there() -> None:
    text = """\
version: 1
rules:
  - id: guard
    when: [company.updated]
    if: {company.id: 5}
    then: leave
  - id: one
    when: [deal.updated, robot, {every: 15m}]
    portals: [main]
    if: {workflow.template_id: 61}
    then: kill
  - id: other
    when: [task.added]
    portals: [other]
    if: {workflow.template_id: 61}
    then: kill
  - id: not-now
    when: [lead.added]
    portals: [main]
    disabled: it is Sunday
    if: {workflow.template_id: 61}
    then: kill
"""
    loaded = ruleset.load(text.encode(), file="rules.yaml", portals=["main", "other"])
    assert loaded.events_to_register("main") == {"ONCRMDEALUPDATE", "ONCRMDEALMOVETOCATEGORY"}
    assert loaded.events_to_register("other") == {"ONTASKADD"}
    assert loaded.events_to_register("third") == set()


def test_the_portal_has_no_events_of_lists_and_a_schedule_brings_their_elements() -> None:
    assert triggers.find("list_23.updated") is None
    assert triggers.nearest_trigger("list_23.updated") is None
    robot = triggers.find("robot")
    assert robot is not None
    assert robot.can_bring("deal")
    assert not robot.can_bring("list_23")
    assert triggers.scheduled(Every(timedelta(hours=1))).can_bring("list_23")
