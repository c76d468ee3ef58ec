"""Finds the meaning of a document's stage: P in progress, S success, F failure.

Deals and leads contain it themselves (`stageSemanticId`); quotes, invoices and smart processes do
not, so theirs is looked up in the directory of their stages (docs: crm/universal/object-fields.md,
crm/status/crm-status-list.md). A directory is remembered for a moment; for a stage that it lacks it
is read again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Command, Failure, explain
from responder.bitrix24.lists.paged import REMEMBERED_FOR, Listing, Row, unless_rejected
from responder.model import Unknown

SEMANTIC = "stage_semantic_id"

STAGE = "stage_id"
_CATEGORY = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Stages:
    """The meanings of the stages of one directory, as read at an instant."""

    meanings: Mapping[str, str | Unknown]
    read_at: datetime


class StagesRead:
    """The stages that one gathering needs: remembered ones, and new readings of the rest."""

    def __init__(self, remembered: dict[str, Stages], now: datetime) -> None:
        self._remembered = remembered
        self._now = now
        self._listings: dict[str, Listing] = {}

    def ask(self, kind: str, fields: Mapping[str, object]) -> None:
        """Plan a read of the directory of an item's stage, unless that stage is remembered."""
        stage, directory = fields.get(STAGE), directory_of(kind, fields)
        if not isinstance(stage, str) or not stage or directory is None:
            return
        if not self._remembers(directory, stage):
            self._listings.setdefault(directory, _listing(directory))

    def _remembers(self, directory: str, stage: str) -> bool:
        remembered = self._remembered.get(directory)
        if remembered is None or stage not in remembered.meanings:
            return False
        return timedelta(0) <= self._now - remembered.read_at < REMEMBERED_FOR

    def reads(self) -> list[Listing]:
        """Return the planned reads, one a directory."""
        return list(self._listings.values())

    def keep(self) -> None:
        """Remember the directories that were read."""
        for directory, listing in self._listings.items():
            if listing.whole:
                meanings = {str(row["STATUS_ID"]): _meaning(row) for row in listing.rows.values()}
                self._remembered[directory] = Stages(meanings, self._now)

    def meaning(
        self, kind: str, fields: Mapping[str, object]
    ) -> tuple[str | Unknown | None, Failure | None]:
        """Return the meaning of an item's stage, and the failure that kept it from being read.

        None means that the item is in no stage. `ask` must have been called with the same fields.
        """
        stage, directory = fields.get(STAGE), directory_of(kind, fields)
        if STAGE in fields and stage in (None, ""):
            return None, None
        if not isinstance(stage, str) or directory is None:
            return Unknown("the item does not say in which stage it is"), None
        listing = self._listings.get(directory)
        if listing is not None and listing.failure is not None:
            return Unknown(explain(listing.failure)), unless_rejected(listing.failure)
        unlisted = Unknown(f"the portal does not list the stage {stage}")
        return self._remembered[directory].meanings.get(stage, unlisted), None


def directory_of(kind: str, fields: Mapping[str, object]) -> str | None:
    """Return the directory of an item's stages (docs: how-to-get-stages-with-semantics.md)."""
    if kind in ("quote", "lead"):
        return "QUOTE_STATUS" if kind == "quote" else "STATUS"
    category = str(fields.get("category_id"))
    if not _CATEGORY.fullmatch(category):
        return None
    if kind == "deal":
        return "DEAL_STAGE" if category == "0" else f"DEAL_STAGE_{category}"
    if kind == "invoice":
        return f"SMART_INVOICE_STAGE_{category}"
    type_id = documents.entity_type_id(kind)
    return f"DYNAMIC_{type_id}_STAGE_{category}" if kind == f"item_{type_id}" else None


def stages_of(directory: str) -> Command:
    """Return the command for the stages of a directory."""
    return Command("crm.status.list", {"filter": {"ENTITY_ID": directory}, "order": {"ID": "ASC"}})


def _listing(directory: str) -> Listing:
    return Listing(
        stages_of(directory),
        id_of=_id_of,
        keep=lambda row: row["ENTITY_ID"] == directory,
    )


def _id_of(row: Row) -> str | None:
    for name in ("ENTITY_ID", "STATUS_ID"):
        if not isinstance(row.get(name), str):
            return None
    row_id = row.get("ID")
    return str(row_id) if isinstance(row_id, str | int) else None


_LETTERS = {"": "P", "P": "P", "S": "S", "F": "F"}
_WORDS = {"process": "P", "success": "S", "failure": "F", "apology": "F"}


def _meaning(row: Row) -> str | Unknown:
    """Return P, S or F. The directory has it twice; where the two differ it is unknown."""
    letter = row.get("SEMANTICS")
    extra = row.get("EXTRA")
    word = extra.get("SEMANTICS") if isinstance(extra, dict) else None
    meanings = set()
    if word is not None:
        meanings.add(_WORDS.get(str(word)))
    # `SEMANTICS` is null in progress, but also where an old stage was never given one.
    if letter or (word is None and "SEMANTICS" in row):
        meanings.add(_LETTERS.get(str(letter or "")))
    meaning = meanings.pop() if len(meanings) == 1 else None
    return meaning or Unknown(f"the portal does not say clearly what {row['STATUS_ID']} means")
