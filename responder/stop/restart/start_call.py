"""Defines the call that starts a workflow anew, and reads its answer.

https://apidocs.bitrix24.com/api-reference/bizproc/bizproc-workflow-start.html. The portal takes
whatever parameters it is given, starts a second workflow for a second call, and makes the caller
the one who started it. A workflow may also begin and then fail in the portal's hands, which answers
like a refusal, without a code: so only refusals that come before that prove that nothing began
(module bizproc, lib/restservice.php `startWorkflow`; their texts are not translated). A code proves
nothing: an error without one gets that of any exception that was left over, or `ERROR_CORE` (module
rest, lib/restexception.php).
"""

from dataclasses import dataclass
from typing import Literal

from responder.bitrix24.client.answers import Answer, Command, FailureKind, explain
from responder.bitrix24.client.client import WITHHELD
from responder.bitrix24.client.rest import UNSENDABLE
from responder.bitrix24.lists.workflow_row import WORKFLOW_ID
from responder.model import Document

METHOD = "bizproc.workflow.start"
_BEFORE_IT_BEGINS = (
    "Wrong DOCUMENT_ID!",
    "Incorrect document type!",
    "Template type and DOCUMENT_ID mismatch!",
)


@dataclass(frozen=True, slots=True)
class Started:
    """The result of a call: the id of the new workflow, or why there is none, or none is known.

    `refused`: nothing began. `failed`: the portal reported an error, perhaps after it had begun.
    `lost`: the call may have been carried out, and may still be under way.
    """

    what: Literal["started", "refused", "lost", "failed"]
    text: str


def command(document: Document, template_id: str) -> Command:
    """Return the REST call."""
    return Command(METHOD, {"TEMPLATE_ID": template_id, "DOCUMENT_ID": list(document.triple)})


def started_in(answer: Answer) -> Started:
    """Return what the portal's answer shows."""
    failure = answer.failure
    if failure is None:
        started = answer.value
        if isinstance(started, str) and WORKFLOW_ID.fullmatch(started):
            return Started("started", started)
        return Started("lost", "the answer has no workflow's id")
    if failure.code == WITHHELD:
        return Started("refused", failure.text)
    why = explain(failure)
    if failure.kind is FailureKind.UNCERTAIN:
        return Started("lost", why)
    if failure.kind is not FailureKind.REJECTED or failure == UNSENDABLE:
        return Started("refused", why)
    began = failure.text not in _BEFORE_IT_BEGINS
    return Started("failed" if began else "refused", why)
