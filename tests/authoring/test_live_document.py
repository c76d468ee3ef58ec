"""For which cause a document is explained where nobody names one."""

from responder.authoring.live_document import cause_named, usual_cause


def test_a_document_is_mostly_judged_for_its_change_and_an_element_of_a_list_by_a_schedule() -> (
    None
):
    deal, element = (cause_named(usual_cause(kind)) for kind in ("deal", "list_23"))
    assert deal is not None
    assert deal.trigger == "event"
    assert element is not None
    assert element.trigger == "schedule"
