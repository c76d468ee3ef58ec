"""Names a portal's answers for the metrics, whose labels must be few."""

from responder.bitrix24.client.answers import TABLE

_CODES = frozenset(row.code for row in TABLE if row.code)
_OUR_WORDS = frozenset(
    (
        "no_connection",
        "timeout",
        "dropped",
        "not_json",
        "too_big",
        "encoded",
        "wrong_type",
        "missing_part",
    )
)


def answer_label(code: str | None) -> str:
    """Return the label of an answer: `ok`, a known code, or `other` (portals make up codes)."""
    if code is None:
        return "ok"
    if not code:
        return "empty_code"
    status = code.removeprefix("http_")
    known = code in _CODES or code in _OUR_WORDS or (status.isdigit() and len(status) == 3)
    return code if known else "other"
