"""Oddities of a sandbox: known ones alone, and none for long. `probe` finds each of them."""

import pytest

from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.methods.oddities import Oddities
from tests.bitrix24.sandbox.caller import ELEMENT, Caller

INSTANCES = "bizproc.workflow.instances"


def test_an_oddity_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no oddity 'ignores_odrer'"):
        Oddities().set("ignores_odrer")


@pytest.mark.portal
def test_what_is_turned_on_can_be_turned_off(sandbox: Sandbox, caller: Caller) -> None:
    for name in ("a", "b"):
        sandbox.start_workflow(ELEMENT, 61, id=name)
    asked = {"SELECT": ["ID", "TEMPLATE_ID"], "ORDER": {"ID": "ASC"}}
    usual = caller.rows(INSTANCES, asked)
    sandbox.oddities.set("ignores_order")
    sandbox.oddities.set("ids_as_numbers")
    assert caller.rows(INSTANCES, asked) == [
        {"ID": "b", "TEMPLATE_ID": 61},
        {"ID": "a", "TEMPLATE_ID": 61},
    ]
    sandbox.oddities.clear()
    assert caller.rows(INSTANCES, asked) == usual
