"""One house for all that only look at it, with something of everything in its log."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.service.pages.visiting import HIDDEN, SCRIPT, House, Visitor, add_deal, house, start


@dataclass(frozen=True, slots=True)
class Story:
    """The house after some events, and the decisions that they led to."""

    house: House
    killed: str
    left: str
    would: str
    tripped: str
    asks: str
    nothing: str


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with house(tmp_path_factory.mktemp("house")) as place:
        add_deal(place.portal, 771, "F", f"{SCRIPT} {HIDDEN}")
        add_deal(place.portal, 772, "F", "long " * 500)
        add_deal(place.portal, 773, "F", "Nothing runs on it")
        start(place.portal, 771)
        start(place.portal, 772)
        yield Story(
            house=place,
            killed=place.happen(771, "killed"),
            left=place.happen(761, "left"),
            would=place.happen(762, "would_kill"),
            tripped=place.happen(772, "held"),
            asks=place.happen(760, "held"),
            nothing=place.happen(773, None),
        )


@pytest.fixture(scope="session")
def anna(story: Story) -> Visitor:
    return story.house.admin()
