"""Reads the portal's workflow templates, and finds which workflows are runs of robots.

Robots run as workflows of templates that the portal never lists (docs: bizproc-workflow-template-
list.md). So "unlisted" means a robot's run, but only if the list is whole and was read after the
workflow started: a template may be younger than a list that was read before. Either the clocks
prove that with some minutes to spare, or the list is read again after the workflow was seen.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from responder.bitrix24.client.answers import Command, Failure, explain, uncertain
from responder.bitrix24.fetch.people import Users
from responder.bitrix24.fetch.stages import Stages
from responder.bitrix24.lists.paged import REMEMBERED_FOR, Listing, Row, unless_rejected
from responder.model import Unknown

CLOCKS_MAY_DIFFER = timedelta(minutes=5)

Label = tuple[Literal["user", "template"], str]
"""A user or a template, by its number."""

_TEMPLATE_ID = re.compile("[1-9][0-9]{0,17}")
_IBLOCK = re.compile("iblock_([1-9][0-9]{0,9})")
_FIELDS = ("ID", "NAME", "DOCUMENT_TYPE")
_NEED_THE_LIST = frozenset({"template.name", "template.known"})


@dataclass(slots=True)
class Templates:
    """The cache of a portal's driver: templates, stages, users, types.

    `names` is the complete list, template id → name, as read at `read_at`; None before the first.
    `iblocks` has the number of the list that a template is for, where it is for one.
    `types` are smart processes that exist, each with the time when it was seen; `labels` are names
    of users and templates for the log, None for what the portal does not show.
    """

    names: Mapping[str, object] = field(default_factory=dict)
    iblocks: Mapping[str, int] = field(default_factory=dict)
    read_at: datetime | None = None
    stages: dict[str, Stages] = field(default_factory=dict)
    users: Users = field(default_factory=Users)
    types: dict[int, datetime] = field(default_factory=dict)
    labels: dict[Label, tuple[datetime, str | None]] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget everything: the portal is read by another user from now on."""
        self.names, self.read_at = {}, None
        self.stages, self.users, self.types, self.labels = {}, Users(), {}, {}


class TemplatesRead:
    """The list of templates for one gathering: the remembered one, or a new reading of it.

    `lists` is true where the rules ask for facts of lists, so that it must be known which is which.
    """

    def __init__(
        self, templates: Templates, now: datetime, paths: frozenset[str], *, lists: bool = False
    ) -> None:
        self._templates = templates
        self._now = now
        self._needed = lists or bool(paths & _NEED_THE_LIST)
        self._listing: Listing | None = None
        self._again = False
        self._failure: Failure | None = None

    def reads(self) -> list[Listing]:
        """Return the read of the list, unless it is not needed or the remembered one is recent."""
        read_at = self._templates.read_at
        if not self._needed:
            return []
        if read_at is not None and timedelta(0) <= self._now - read_at < REMEMBERED_FOR:
            return []
        return self._read()

    def reads_again(self, rows: Iterable[Row]) -> list[Listing]:
        """Return another read where a workflow's template is unlisted and may be younger."""
        if not self._needed or self._failure is not None:
            return []
        if any(self._is_open(row) for row in rows):
            self._again = True
            return self._read()
        return []

    def keep(self) -> None:
        """Remember the list that was read."""
        if self._listing is None:
            return
        if self._listing.whole:
            rows = self._listing.rows
            unnamed = Unknown("the list does not tell its name")
            self._templates.names = {k: row.get("NAME", unnamed) for k, row in rows.items()}
            kinds = ((key, _iblock(row.get("DOCUMENT_TYPE"))) for key, row in rows.items())
            self._templates.iblocks = {k: number for k, number in kinds if number is not None}
            self._templates.read_at = self._now
        else:
            self._failure = self._listing.failure or uncertain("", "the list was not read")
        self._listing = None

    def facts(self, row: Row, paths: frozenset[str]) -> tuple[dict[str, object], Failure | None]:
        """Return a workflow's `template.*` facts, and the failure that kept one from being read."""
        facts: dict[str, object] = {}
        if "TEMPLATE_ID" in row:
            facts["template.id"] = row["TEMPLATE_ID"]
        if not paths & _NEED_THE_LIST:
            return facts, None
        template_id = _template_id(row)
        if template_id is None:
            facts["template.known"] = Unknown("the workflow names no template")
        elif self._failure is not None and (template_id not in self._names or not self._again):
            unread = Unknown(explain(self._failure))
            facts |= {"template.known": unread, "template.name": unread}
            return facts, unless_rejected(self._failure)
        elif template_id in self._names:
            facts |= {"template.known": True, "template.name": self._names[template_id]}
        else:
            facts["template.known"] = False
            facts["template.name"] = Unknown("the portal does not list the template")
        return facts, None

    @property
    def failure(self) -> Failure | None:
        """Return why the list could not be read, where it was needed."""
        return self._failure

    def iblock(self, rows: Iterable[Row]) -> int | None:
        """Return the number of the list that the document of these workflows is of, if known."""
        ids = (_template_id(row) for row in rows)
        known = {self._templates.iblocks.get(one) for one in ids if one is not None} - {None}
        return known.pop() if len(known) == 1 and self._failure is None else None

    @property
    def _names(self) -> Mapping[str, object]:
        return self._templates.names

    def _read(self) -> list[Listing]:
        self._listing = Listing(template_list(*_FIELDS), id_of=_id_of, twice=True)
        return [self._listing]

    def _is_open(self, row: Row) -> bool:
        template_id, read_at = _template_id(row), self._templates.read_at
        if template_id is None or template_id in self._names or read_at is None:
            return False
        started = _instant(row.get("STARTED"))
        return started is None or started > read_at - CLOCKS_MAY_DIFFER


def template_list(*fields: str) -> Command:
    """Return the command for the portal's templates; robots' are never among them."""
    params = {"SELECT": list(fields), "ORDER": {"ID": "ASC"}}
    return Command("bizproc.workflow.template.list", params)


def templates_of_ids(template_ids: Sequence[str]) -> Command:
    """Return the command for the names of these templates; others may come too."""
    wanted = template_ids[0] if len(template_ids) == 1 else list(template_ids)
    command = template_list("ID", "NAME")
    return Command(command.method, {**command.params, "FILTER": {"ID": wanted}})


def _template_id(row: Row) -> str | None:
    value = row.get("TEMPLATE_ID")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) if _TEMPLATE_ID.fullmatch(str(value)) else None


def _iblock(document_type: object) -> int | None:
    """Return the number in `iblock_23`, which may come as the last part of a triple."""
    parts = document_type if isinstance(document_type, list) else [document_type]
    found = _IBLOCK.fullmatch(str(parts[-1])) if parts else None
    return None if found is None else int(found[1])


def _id_of(row: Row) -> str | None:
    value = row.get("ID")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None
