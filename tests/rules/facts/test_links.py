"""Facts of what a document is linked to: which there are, and which was meant."""

import pytest

from responder.rules.facts import links, registry
from responder.rules.facts.fields import Type


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("deal.company.industry", Type.TEXT),
        ("item_147.contact.birthdate", Type.DAY),
        ("invoice.company.uf_crm_vip", Type.ANY),
        ("quote.contact.parent_id_147", Type.REFERENCE),
        ("lead.assigned_by.active", Type.TRUTH),
        ("company.created_by.department", Type.REFERENCE),
        ("task.responsible.id", Type.REFERENCE),
    ],
)
def test_a_linked_fact_has_the_type_of_the_field_at_the_end(path: str, type_: Type) -> None:
    fact = registry.find(path)
    assert fact is not None
    assert (fact.type, fact.kind, fact.about_workflow) == (type_, path.partition(".")[0], False)
    assert registry.spells_a_fact(path)


@pytest.mark.parametrize(
    "path",
    [
        *("deal.company", "deal.company.", "deal.company.titel", "deal.assigned_by.uf_x"),
        *("deal.company.assigned_by.active", "task.company.title", "contact.company.title"),
        *("task.assigned_by.active", "deal.responsible.active", "item_7.company.title"),
        *("workflow.company.title", "starter.created_by.id", "deal.company.stage_id"),
    ],
)
def test_one_link_is_followed_and_only_those_that_there_are(path: str) -> None:
    assert registry.find(path) is None


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("deal.company.titel", "deal.company.title"),
        ("deal.compny.title", "deal.company.title"),
        ("deals.assigned_by.activ", "deal.assigned_by.active"),
        ("task.responsible.departmnt", "task.responsible.department"),
    ],
)
def test_a_wrong_path_has_a_nearest_one(wrong: str, meant: str) -> None:
    assert registry.nearest_fact(wrong) == meant


def test_the_field_that_holds_a_link_is_read_for_it() -> None:
    paths = frozenset(
        {"deal.company.title", "deal.title", "deal.assigned_by.id", "lead.company.id"}
    )
    assert links.own_fields(paths, "deal") == ("assigned_by_id", "company_id", "title")


def test_only_what_a_user_s_number_does_not_tell_leads_to_users() -> None:
    assert links.lead_to_users(["deal.assigned_by.active"])
    assert not links.lead_to_users(["deal.assigned_by.id", "deal.company.title", "deal.title"])
