"""Reads one row of the portal's list of running workflows: its document, and the facts it holds."""

import re
from collections.abc import Iterable, Mapping

from responder.bitrix24.client.answers import Command, Failure, FailureKind
from responder.bitrix24.lists.paged import Row
from responder.model import Document

INSTANCE_FIELDS = (
    "ID",
    "MODIFIED",
    "OWNED_UNTIL",
    "MODULE_ID",
    "ENTITY",
    "DOCUMENT_ID",
    "STARTED",
    "STARTED_BY",
    "TEMPLATE_ID",
)
_WORKFLOW_FACTS = ("id", "template_id", "started", "started_by", "modified", "owned_until")
# A unique id of PHP. Not its exact form: that is the portal's to change; but text, and one word.
WORKFLOW_ID = re.compile(r"[!-~]{1,128}")
_WIDEST_FIRST = (
    FailureKind.PORTAL,
    FailureKind.BUSY,
    FailureKind.UNCERTAIN,
    FailureKind.METHOD,
)


def instances(wanted: Mapping[str, str]) -> Command:
    """Return the command for the workflows whose fields have these values, and perhaps others.

    All workflows are listed where no value is given.
    """
    params: dict[str, object] = {"SELECT": list(INSTANCE_FIELDS), "ORDER": {"ID": "ASC"}}
    # The filter has the one form that all versions of the portal understand: upper case, no
    # operator. It is SQL's `LIKE` (module bizproc, lib/restservice.php `getFilter`): `_` stands for
    # any character, so other rows may come, and a text with a backslash does not find its own rows,
    # which would read as "nothing runs". Such a text is left out, and the list is longer.
    if found := {name: text for name, text in wanted.items() if "\\" not in text}:
        params["FILTER"] = found
    return Command("bizproc.workflow.instances", params)


def instances_on(document: Document) -> Command:
    """Return the command for the workflows on a document; rows of other documents may come too."""
    return instances({"MODULE_ID": document.module, "DOCUMENT_ID": document.id})


def instance_of_id(workflow_id: str) -> Command:
    """Return the command for one workflow; other rows may come too."""
    return instances({"ID": workflow_id})


def id_of(row: Row) -> str | None:
    """Return a row's id, or None where it has none that can be read."""
    workflow_id = row.get("ID")
    if isinstance(workflow_id, str) and WORKFLOW_ID.fullmatch(workflow_id):
        return workflow_id
    return None


def id_of_whole_row(row: Row) -> str | None:
    """Return the id of a row that also names its document, or says that it has none (null)."""
    for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID"):
        if name not in row or not isinstance(row[name], str | None):
            return None
    return id_of(row)


def triple(row: Row) -> tuple[object, object, object]:
    """Return the document that a row names: module, entity, id."""
    return (row["MODULE_ID"], row["ENTITY"], row["DOCUMENT_ID"])


def workflow_facts(row: Row) -> dict[str, object]:
    """Return the `workflow.*` facts that a row holds, as the portal sent them."""
    return {
        f"workflow.{name}": row[name.upper()] for name in _WORKFLOW_FACTS if name.upper() in row
    }


def widest(failures: Iterable[Failure | None]) -> Failure | None:
    """Return the failure that concerns most. A refusal of one request is an answer, no failure."""
    met = [failure for failure in failures if failure is not None]
    for kind in _WIDEST_FIRST:
        for failure in met:
            if failure.kind is kind:
                return failure
    return None
