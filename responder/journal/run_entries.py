"""Writes the entries of sweeps and schedules into the decision log."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from responder.journal import chain


def record(tx: Connection, portal: str, at: datetime, body: Mapping[str, object]) -> int:
    """Write the entry of a run with its totals; return the entry's number."""
    return chain.append(tx, portal, "sweep", at, body)
