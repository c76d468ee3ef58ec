"""Holds when items came into their stages; nobody is told who moved them."""

import itertools
from dataclasses import dataclass
from typing import Literal

CREATED, MOVED, FINAL, PIPELINE = 1, 2, 3, 5
Semantics = Literal["P", "S", "F"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """An item came into a stage; `type` is 1 created, 2 moved, 3 final, 5 another pipeline."""

    id: int
    entity_type_id: int
    owner_id: int
    type: int
    created: str
    category_id: int
    stage_id: str
    semantics: Semantics


class StageHistory:
    """The changes of all items, in their order."""

    def __init__(self) -> None:
        self.changes: list[StageChange] = []
        self._ids = itertools.count(1)

    def add(
        self,
        entity_type_id: int,
        owner_id: int,
        stage_id: str,
        *,
        created: str,
        type: int = MOVED,  # noqa: A002 - the word of the portal
        category_id: int = 0,
        semantics: Semantics = "P",
    ) -> None:
        """Add the newest change. What is born in a final stage has one of type 3 alone."""
        self.changes.append(
            StageChange(
                id=next(self._ids),
                entity_type_id=entity_type_id,
                owner_id=owner_id,
                type=type,
                created=created,
                category_id=category_id,
                stage_id=stage_id,
                semantics=semantics,
            )
        )
