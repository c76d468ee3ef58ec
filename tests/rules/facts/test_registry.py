"""Tests of the table of facts, and of the names that were probably meant."""

import pytest

from responder.rules.facts import registry
from responder.rules.facts.fields import ALWAYS, Type


@pytest.mark.parametrize(
    ("path", "type_", "kind"),
    [
        ("deal.stage_id", Type.TEXT, "deal"),
        ("deal.category_id", Type.NUMBER, "deal"),
        ("deal.company_id", Type.REFERENCE, "deal"),
        ("deal.uf_crm_1639669411830", Type.ANY, "deal"),
        ("deal.parent_id_147", Type.REFERENCE, "deal"),
        ("item_147.stage_semantic_id", Type.TEXT, "item_147"),
        ("item_1038.title", Type.TEXT, "item_1038"),
        ("invoice.account_number", Type.TEXT, "invoice"),
        ("task.deadline", Type.DATE, "task"),
        ("task.uf_crm_task", Type.ANY, "task"),
        ("workflow.id", Type.ID, None),
        ("workflow.age", Type.DURATION, None),
        ("workflow.tasks", Type.NUMBER, None),
        ("waiting_for.department", Type.REFERENCE, None),
        ("starter.active", Type.TRUTH, None),
        ("template.known", Type.TRUTH, None),
        ("document.exists", Type.TRUTH, None),
        ("event.name", Type.TEXT, None),
    ],
)
def test_a_fact_has_a_type_and_its_kind(path: str, type_: Type, kind: str | None) -> None:
    fact = registry.find(path)
    assert fact is not None
    assert (fact.path, fact.type, fact.kind) == (path, type_, kind)
    assert fact.about_workflow is path.startswith(
        ("workflow.", "template.", "starter.", "waiting_for.")
    )


@pytest.mark.parametrize(
    "path",
    [
        *("deal", "deal.", ".stage_id", "deal.nope", "deal.stage_id.x", "deal.UF_CRM_1"),
        *("item_31.title", "item_0147.title", "item_.title", "workflow.uf_x", "other.id"),
        "task.parent_id_147",
    ],
)
def test_what_is_no_fact_is_not_found(path: str) -> None:
    assert registry.find(path) is None


@pytest.mark.parametrize("owner", [*ALWAYS, *registry.KINDS, "item_147"])
def test_every_field_of_every_owner_is_a_fact_with_a_sentence(owner: str) -> None:
    fields = registry.of_kind(owner)
    assert len({field.name for field in fields}) == len(fields)
    for field in fields:
        assert registry.find(f"{owner}.{field.name}")
        assert field.description.endswith(".")
    assert registry.describe(owner).endswith(".")


@pytest.mark.parametrize(
    "kind", [kind for kind in registry.KINDS if kind not in ("contact", "company", "task")]
)
def test_every_kind_with_stages_knows_what_its_stage_means(kind: str) -> None:
    assert registry.find(f"{kind}.stage_semantic_id")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("deal.stageId", "deal.stage_id"),
        ("deal.STAGE_ID", "deal.stage_id"),
        ("Deal.stage_id", "deal.stage_id"),
        ("deals.stage_id", "deal.stage_id"),
        ("deal.amount", "deal.opportunity"),
        ("deal.pipeline", "deal.category_id"),
        ("lead.status_id", "lead.stage_id"),
        ("task.STATUS", "task.status"),
        ("item_147.opened_", "item_147.opened"),
        ("workflow.startd", "workflow.started"),
        ("zzz.qqq", None),
    ],
)
def test_the_name_that_was_meant_is_found(wrong: str, right: str | None) -> None:
    assert registry.nearest_fact(wrong) == right
