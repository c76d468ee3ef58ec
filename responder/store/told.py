"""What the entries of a chain have told so far, as far as later entries rest on it.

The check of a chain (`verify`) goes along it once, and hears each entry here. What is kept is what
still goes on: it is forgotten where an entry ends it.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row as Record

from responder.model import Mode
from responder.store.places import decision_name

_Row = Record[tuple[object, ...]]
_Json = Mapping[str, Any]  # parsed text: what is in it was written by `journal`
_UNAPPROVED = "no entry says that somebody approved what it calls for"


class Told:
    """What has been told behind entry `base`, the last that was pruned."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._asking: set[str] = set()  # decisions that ask first, and are not concluded
        self._approved: dict[str, int] = {}  # by decision the entry that approved it

    def hear(self, entry: _Row, body: _Json, proof: _Row | None) -> str | None:
        """Take in an entry, with its evidence; say what is wrong with it, if anything is."""
        if entry.kind == "intent":
            return self._wrong_approval(body, proof)
        if entry.kind == "evaluation":
            for n, decided in enumerate(body["decisions"], start=1):
                if decided["mode"] == Mode.APPROVE:
                    self._asking.add(decision_name(entry.portal, entry.seq, n))
        elif entry.kind == "outcome":
            self._asking.discard(body["decision"])
            self._approved.pop(body["decision"], None)
        elif body.get("control") == "approve":
            self._approved |= dict.fromkeys(body["decisions"], entry.seq)
        return None

    def _wrong_approval(self, body: _Json, proof: _Row | None) -> str | None:
        """Hold an intent against the approval that it names."""
        decision = body["decision"]
        named = body["approval"] if "approval" in body else _named_in(proof)
        if named is None:
            must_be_named = "approval" in body and decision in self._asking
            return _UNAPPROVED if must_be_named else None
        if named <= self._base or self._approved.get(decision) == named:
            return None
        return _UNAPPROVED


def _named_in(proof: _Row | None) -> int | None:
    """Return the entry of an approval where versions named it whose intents did not."""
    if proof is None or not proof.salt:
        return None
    approved = json.loads(proof.content).get("approved")
    return None if approved is None else approved["entry"]
