"""Implements the methods of workflows: https://apidocs.bitrix24.com/api-reference/bizproc/."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from responder.bitrix24.documents import from_triple
from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.rows import BIZPROC_OPERATORS, Listing, ListParams, Row, page
from responder.bitrix24.sandbox.state import COMPANY, CONTACT, DEAL, INVOICE, LEAD, QUOTE, State
from responder.model import Document

_ITEM_TYPES = {
    "lead": LEAD,
    "deal": DEAL,
    "contact": CONTACT,
    "company": COMPANY,
    "quote": QUOTE,
    "invoice": INVOICE,
}

STATE_TITLE_LENGTH = 255
_INSTANCES = Listing(
    fields=(
        "ID",
        "MODIFIED",
        "OWNED_UNTIL",
        "MODULE_ID",
        "ENTITY",
        "DOCUMENT_ID",
        "STARTED",
        "STARTED_BY",
        "TEMPLATE_ID",
    ),
    select=("ID", "MODIFIED", "OWNED_UNTIL"),
    order=(("MODIFIED", "DESC"),),
    operators=BIZPROC_OPERATORS,
    like=True,
    numbers=frozenset({"STARTED_BY", "TEMPLATE_ID"}),
    dates=frozenset({"MODIFIED", "OWNED_UNTIL", "STARTED"}),
    skips_count=True,
)
# Older modules read but two dates from ISO 8601, and count however they are asked.
_INSTANCES_OF_OLD = replace(_INSTANCES, misread=frozenset({"STARTED"}), skips_count=False)
_TEMPLATES = Listing(
    fields=(
        "ID",
        "MODULE_ID",
        "ENTITY",
        "DOCUMENT_TYPE",
        "AUTO_EXECUTE",
        "NAME",
        "DESCRIPTION",
        "TEMPLATE",
        "PARAMETERS",
        "VARIABLES",
        "CONSTANTS",
        "MODIFIED",
        "IS_MODIFIED",
        "USER_ID",
        "SYSTEM_CODE",
    ),
    select=("ID",),
    order=(("ID", "ASC"),),
    operators=BIZPROC_OPERATORS,
    like=True,
    numbers=frozenset({"ID", "AUTO_EXECUTE", "USER_ID"}),
    dates=frozenset({"MODIFIED"}),
    skips_count=True,
)
# This one's filter has the same keys and operators, and compares exactly (module bizproc,
# classes/general/helper.php `prepareSql`).
_TASKS = Listing(
    fields=(
        "ID",
        "WORKFLOW_ID",
        "DOCUMENT_NAME",
        "DESCRIPTION",
        "NAME",
        "MODIFIED",
        "WORKFLOW_STARTED",
        "WORKFLOW_STARTED_BY",
        "OVERDUE_DATE",
        "WORKFLOW_TEMPLATE_ID",
        "STATUS",
        "USER_ID",
        "USER_STATUS",
        "MODULE_ID",
        "ENTITY",
        "DOCUMENT_ID",
        "DOCUMENT_URL",
    ),
    select=(
        "ENTITY",
        "DOCUMENT_ID",
        "ID",
        "WORKFLOW_ID",
        "DOCUMENT_NAME",
        "NAME",
        "DOCUMENT_URL",
    ),
    order=(("ID", "DESC"),),
    operators=BIZPROC_OPERATORS,
    dates=frozenset({"MODIFIED", "WORKFLOW_STARTED", "OVERDUE_DATE"}),
    numbers=frozenset(
        {"ID", "WORKFLOW_STARTED_BY", "WORKFLOW_TEMPLATE_ID", "STATUS", "USER_ID", "USER_STATUS"}
    ),
    whole_pages=True,
)


def kill(state: State, params: Mapping[str, object]) -> Answer:
    """Delete a workflow with all its data; the second time it is not found."""
    _only_administrators(state)
    state.killed.append(_stop(state, _upper(params).get("ID")))
    return Answer(value=True)


def terminate(state: State, params: Mapping[str, object]) -> Answer:
    """Stop a workflow and keep its data; its state shows STATUS as its title.

    The column has 255 characters (module bizproc, lib/workflow/entity/workflowstate.php).
    """
    _only_administrators(state)
    asked = _upper(params).get("ID")
    if not php.is_empty(asked) and not isinstance(asked, str):
        text = "Invalid workflow instance ID (string expected)"
        raise RefusedError(400, "ERROR_WRONG_WORKFLOW_ID", text)
    workflow_id = _stop(state, asked)
    state.terminated.append(workflow_id)
    title = php.text(_upper(params).get("STATUS")) or "Terminated"
    state.titles[workflow_id] = title[:STATE_TITLE_LENGTH]
    return Answer(value=True)


def _stop(state: State, asked: object) -> str:
    if php.is_empty(asked):
        raise RefusedError(400, "ERROR_WRONG_WORKFLOW_ID", "Empty workflow instance ID")
    workflow_id = php.text(asked)
    if not state.stop_workflow(workflow_id):
        # The portal throws without a code, and words it in its own language.
        raise RefusedError(400, "", state.not_found_text)
    return workflow_id


def instances(state: State, params: Mapping[str, object]) -> Answer:
    """List the workflows that have not finished, robots' runs among them."""
    _only_administrators(state)
    listing = _INSTANCES if state.kind == "cloud" else _INSTANCES_OF_OLD
    return _page(state, state.workflows.in_order(), params, listing, in_order_of="ID")


def templates(state: State, params: Mapping[str, object]) -> Answer:
    """List the templates that people made. Those of robots are hidden by a forced filter."""
    _only_administrators(state)
    all_of_them = "lists_robots" in state.oddities
    rows = [
        row for key, row in state.templates.items() if all_of_them or not state.is_of_robots(key)
    ]
    return _page(state, rows, params, _TEMPLATES)


def waiting_tasks(state: State, params: Mapping[str, object]) -> Answer:
    """List the tasks that workflows wait for; a user who is no administrator sees only their own.

    There is a row for each user of a task where any user field is asked for.
    """
    rows: Iterable[Row] = state.bizproc_tasks.values()
    if "USER_" not in str(_upper(params)):
        rows = {row["ID"]: row for row in rows}.values()
    if not state.actor.admin:
        rows = [row for row in rows if row["USER_ID"] == state.actor.user_id]
    return _page(state, rows, params, _TASKS)


def start(state: State, params: Mapping[str, object]) -> Answer:
    """Start a workflow on a document; the result is its id, whether it is listed then or not.

    Refusals come in the order of module bizproc, lib/restservice.php `startWorkflow`: who may start
    it is checked last. Nothing is compared with what runs already: two calls start two workflows.
    Nobody misses a parameter that the template requires, and the starter is the one who calls. A
    workflow that waits for nothing has ended when the answer comes; one that finds no slot runs
    later. A template of robots is started like any other.
    """
    asked = _upper(params)
    if php.is_empty(asked.get("TEMPLATE_ID")):
        raise RefusedError(400, "ERROR_WRONG_WORKFLOW_ID", "Empty TEMPLATE_ID")
    template_id = str(php.integer(asked["TEMPLATE_ID"]))
    template = state.templates.get(template_id)
    if template is None:
        raise RefusedError(400, "ERROR_WRONG_WORKFLOW_ID", "Template not found")
    triple = php.texts(asked.get("DOCUMENT_ID"))
    document = _document(triple)
    if document is None or not _is_there(state, document):
        raise RefusedError(400, "", "Wrong DOCUMENT_ID!")
    if not _is_for(template, document):
        raise RefusedError(400, "", "Template type and DOCUMENT_ID mismatch!")
    _only_administrators(state)
    workflow = state.start_workflow(triple, template_id, started_by=state.actor.user_id)
    if template_id in state.waiting_for_nothing:
        state.end_workflow(workflow)
    return Answer(value=workflow)


def _document(triple: Sequence[str]) -> Document | None:
    whole = len(triple) == len(("MODULE_ID", "ENTITY", "DOCUMENT_ID")) and all(triple)
    return from_triple(*triple) if whole else None


def _is_there(state: State, document: Document) -> bool:
    """Return whether a document exists; those of other modules than the CRM all do."""
    smart = document.kind.removeprefix("item_")
    number = _ITEM_TYPES.get(document.kind) or (int(smart) if smart.isdigit() else None)
    return number is None or (number, int(document.item_id)) in state.items


def _is_for(template: Mapping[str, object], document: Document) -> bool:
    """Return whether a template is for documents of this type."""
    module, entity, kind = php.texts(template["DOCUMENT_TYPE"])
    if (module, entity) != (document.module, document.entity):
        return False
    return module != "crm" or document.id.rpartition("_")[0] == kind


def _only_administrators(state: State) -> None:
    if not state.actor.admin:
        raise RefusedError(403, "ACCESS_DENIED", "Access denied!")


def _page(
    state: State,
    rows: Iterable[Row],
    params: Mapping[str, object],
    listing: Listing,
    in_order_of: str | None = None,
) -> Answer:
    asked = _upper(params)
    return page(
        rows,
        ListParams(
            filter={} if state.drop_filters else php.mapping(asked.get("FILTER")),
            order=php.mapping(asked.get("ORDER")),
            select=php.texts(asked.get("SELECT")),
            start=php.integer(asked.get("START")),
        ),
        replace(listing, like=False) if state.exact_filters else listing,
        in_order_of,
    )


def _upper(params: Mapping[str, object]) -> dict[str, object]:
    # The names of parameters are taken in any case, those inside a parameter are not.
    return {name.upper(): value for name, value in params.items()}
