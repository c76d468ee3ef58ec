"""Each file of a portal, played: the condemned are killed there, or all is withheld."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from responder.bitrix24.probe import kept_answers
from responder.bitrix24.probe.likeness import apply
from responder.bitrix24.sandbox.slots import Slots
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.service.driver.upkeep.test_withholding import asking, differ, killed
from tests.service.driver.upkeep.test_withholding import migrated_url as migrated_url  # a fixture
from tests.support.probed_portal import DYNAMIC, QUOTE
from tests.support.rounds import PORTAL, Driving, play
from tests.support.stories import a_deal, after, rules

pytestmark = pytest.mark.portal

PORTALS = sorted((Path(__file__).parents[3] / "portals").glob("*.json"))
EVENTS = {
    "deal:1": "ONCRMDEALUPDATE",
    "deal:2": "ONCRMDEALUPDATE",
    "quote:3": "ONCRMQUOTEUPDATE",
    "item_147:1": "ONCRMDYNAMICITEMUPDATE",
}


def receive(there: Driving, events: Mapping[str, str]) -> None:
    rows = [
        inbox.row(PORTAL, there.now(), "event", name, ref, None, b"form")
        for ref, name in events.items()
    ]
    there.database.write(lambda tx: inbox.add(tx, rows))


@pytest.mark.parametrize("file", PORTALS, ids=lambda path: path.stem)
@pytest.mark.parametrize("otherwise", [False, True])
def test_on_a_portal_like_a_file_the_condemned_are_killed_or_all_is_withheld(
    tmp_path: Path, database: Database, file: Path, otherwise: bool
) -> None:
    text = "".join(
        f"""\
  - id: {kind.replace("_", "-")}
    mode: enforce
    when: [{kind}.updated]
    if: {{{kind}.title: Lost, workflow.template_id: 61}}
    then: kill
"""
        for kind in ("deal", "quote", "item_147")
    )
    with asking(database, tmp_path, rules(text)) as there:
        apply(kept_answers.read(file), there.sandbox)
        there.sandbox.slots = Slots(None)

        async def story(there: Driving) -> None:
            if otherwise:
                differ(there)
            a_deal(there, 1, "of-a-deal", title="Lost")
            a_deal(there, 2, "innocent", title="Won")
            there.sandbox.add_item(7, 3, title="Lost")
            there.sandbox.add_item(147, 1, title="Lost")
            there.sandbox.start_workflow(QUOTE, 61, id="of-a-quote")
            there.sandbox.start_workflow(DYNAMIC, 61, id="of-a-contract")
            receive(there, EVENTS)
            await after(there, seconds=2)
            await after(there, seconds=12)

        play(there, story)
        expected = [] if otherwise else ["of-a-contract", "of-a-deal", "of-a-quote"]
        assert sorted(killed(there)) == expected
        assert "innocent" in there.sandbox.workflows
