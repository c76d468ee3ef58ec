"""Writes the log: one JSON object a line on stderr, with every secret removed.

Everything goes one way: structlog passes its events to the standard library, where those of
uvicorn, SQLAlchemy and other libraries arrive too, and one handler on the root logger renders a
record to its final line. Secrets are searched for there, in the finished line, because that is the
one place that has all of it: the message and its arguments, fields, the text of exceptions, stacks.
A filter on a logger would miss the loggers below it, and a filter of messages the tracebacks. Local
variables are never rendered. An exception that nobody caught is logged as well, and not printed by
Python.
"""

import contextlib
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor

REDACTED = "[redacted]"

# They would print addresses that hold a secret, or every statement with its parameters.
_QUIET = ("httpx", "httpcore", "sqlalchemy", "watchfiles", "asyncio", "alembic.runtime.plugins")


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that replaces every secret in a text, however it is written there."""
    # the longest first, or a short one inside a long one would leave the rest of it
    longest_first = sorted({secret for secret in secrets if secret}, key=lambda s: (-len(s), s))
    if not longest_first:
        return str
    pattern = re.compile("|".join(map(_in_any_form, longest_first)))
    return lambda text: pattern.sub(REDACTED, text)


def _in_any_form(secret: str) -> str:
    """Return a pattern for a secret, any character of which may be percent-encoded or escaped."""
    return "".join(_character(character) for character in secret)


def _character(character: str) -> str:
    raw = character.encode("utf-8", "surrogatepass")
    plain = {character, repr(character)[1:-1], repr(raw)[2:-1], f"\\{character}"}
    written = plain | {json.dumps(text)[1:-1] for text in plain}
    if character == " ":
        written.add("+")
    longest_first = sorted(written, key=lambda text: (-len(text), text))
    percent = "".join(f"%{byte:02x}" for byte in raw)
    return f"(?:{'|'.join(map(re.escape, longest_first))}|(?i:{percent}))"


class _Redacting(logging.Formatter):
    """A formatter that renders a record with another one, then removes secrets from the line."""

    def __init__(self, inner: logging.Formatter, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._inner.format(record))


class _StderrHandler(logging.Handler):
    """A handler that writes to the current stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a log line must never stop the program
            # The record is not printed raw: it may hold secrets.
            line = json.dumps(
                {
                    "event": "A log record could not be rendered.",
                    "level": "error",
                    "logger": record.name,
                    "kind": type(error).__name__,
                }
            )
        with contextlib.suppress(OSError, ValueError):  # stderr itself may be gone
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def configure(level: str, secrets: Iterable[str]) -> None:
    """Send everything that is logged to stderr as JSON lines, without the secrets."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _with_stack],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handler = _StderrHandler()
    handler.setFormatter(_Redacting(formatter, redactor(secrets)))
    _install(handler, logging.getLevelNamesMapping()[level.upper()])


def _with_stack(_logger: object, _name: str, record: EventDict) -> EventDict:
    """Rename the standard library's stack to structlog's name for it."""
    if "stack_info" in record:
        record["stack"] = record.pop("stack_info")
    return record


def _install(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("responder").critical(
        "An error was not caught.", exc_info=(kind, error, traceback)
    )


def _uncaught_in_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        _uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)
