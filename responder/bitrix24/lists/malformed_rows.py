"""Collects the rows of a list of workflows that make no sense, and what they forbid to conclude.

Such a row is logged and left alone: no rule is asked about it, and all other rows are judged. But
with it the list shows less than there is, so absence from the list proves less. If a row's id
cannot be read, it may be any workflow's, and no workflow is known to be gone. If its document
cannot be read, that workflow runs, on an unknown document; the same holds where the row names none
(one that was stopped while it executed may come back so: module bizproc, workflowpersister.php).
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from responder.bitrix24.client.answers import clipped
from responder.bitrix24.lists.workflow_row import id_of, id_of_whole_row
from responder.model import Unknown

SHOWN_LENGTH = 300

_DOCUMENT = ("MODULE_ID", "ENTITY", "DOCUMENT_ID")
_IN_SHORT = reprlib.Repr()
_IN_SHORT.maxdict, _IN_SHORT.maxlevel, _IN_SHORT.maxstring = 12, 3, 60


@dataclass(slots=True)
class OddRows:
    """The rows of one list that are left alone.

    `rows` has a line for each that makes no sense. `elsewhere` has the workflows that run, or may,
    and are on no document's list, each with the reason. `nameless`: the id of some row cannot be
    read.
    """

    rows: dict[str, None] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    nameless: bool = False

    def add(self, row: object) -> None:
        """Add a row, if it has to be left alone."""
        workflow_id = id_of(row) if isinstance(row, Mapping) else None
        if workflow_id is None or not isinstance(row, Mapping):
            self.nameless = True
        elif all(isinstance(row.get(name), str) for name in _DOCUMENT):
            return
        else:
            self.elsewhere[workflow_id] = "it is listed, and its row names no document"
            if id_of_whole_row(row) is not None:
                return  # a row that names no document makes sense
        self.rows[clipped(_IN_SHORT.repr(row), SHOWN_LENGTH)] = None

    def add_elsewhere(self, workflow_id: str) -> None:
        """Add a workflow that runs and is not among the workflows of its document."""
        why = "it is listed, and not among the workflows of its document"
        self.elsewhere.setdefault(workflow_id, why)

    def running(self, listed: int) -> int | Unknown:
        """Return how many workflows run on a document, of which so many are listed.

        A row that makes no sense may be one more. A row that names no document is on none: the
        portal does not count it there either.
        """
        return (
            Unknown("the list of workflows has a row that makes no sense") if self.rows else listed
        )

    def why(self, workflow_id: str) -> str | None:
        """Return why a workflow that is not on its document's list may run, or None."""
        if self.nameless and workflow_id not in self.elsewhere:
            return "the list of workflows has a row whose id cannot be read"
        return self.elsewhere.get(workflow_id)
