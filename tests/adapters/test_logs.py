"""The log: JSON lines, one way for everybody, and no secret in any form."""

import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from responder.adapters import logs

SECRET = 'hook-s3cr"et/ü\\x 1'
log = structlog.stdlib.get_logger("responder.tests")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging, warnings and hooks as the other tests expect them."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "sqlalchemy")}
    yield
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    root.setLevel(before[1])
    for name, level in quiet.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def failing(text: str) -> None:
    raise ValueError(f"failed with {text}")


def test_a_line_is_a_sentence_with_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [])
    log.info("A portal was called.", portal="main", tries=2)
    (line,) = lines(capsys)
    assert str(line.pop("at")).endswith("Z")
    assert line == {
        "event": "A portal was called.",
        "level": "info",
        "logger": "responder.tests",
        "portal": "main",
        "tries": 2,
    }


def test_the_standard_library_goes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [])
    logging.getLogger("uvicorn.error").warning("Invalid %s received.", "request")
    (line,) = lines(capsys)
    assert line["event"] == "Invalid request received."
    assert (line["logger"], line["level"]) == ("uvicorn.error", "warning")


def test_what_is_below_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", [])
    log.info("Quiet.")
    logging.getLogger("uvicorn.error").info("Quiet.")
    assert lines(capsys) == []


def test_httpx_and_sql_do_not_speak_below_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", [])
    for name in ("httpx", "httpcore.connection", "sqlalchemy.engine.Engine"):
        logging.getLogger(name).info("HTTP Request: POST https://portal.example/rest/1/x/")
    assert lines(capsys) == []


@pytest.mark.parametrize("logger", ["responder.tests", "uvicorn.error", "some.child.of.something"])
def test_a_secret_shows_nowhere_in_a_record(
    capsys: pytest.CaptureFixture[str], logger: str
) -> None:
    logs.configure("debug", [SECRET])
    try:
        failing(SECRET)
    except ValueError:
        logging.getLogger(logger).exception("At %s", SECRET, stack_info=True)
        structlog.stdlib.get_logger(logger).exception(
            f"At {SECRET}",
            url=f"https://h/{quote(SECRET)}/",
            nested={"a": [SECRET]},
            stack_info=True,
        )
    written = capsys.readouterr().err
    assert written.count("failed with [redacted]") == 2
    assert written.count("At [redacted]") >= 2
    assert "https://h/[redacted]/" in written
    assert written.count("Stack (most recent call last)") == 2
    assert "s3cr" not in written


@given(
    secret=st.text(min_size=4, max_size=30),
    write=st.sampled_from(
        [
            str,
            repr,
            json.dumps,
            lambda text: json.dumps(repr(text)),
            lambda text: json.dumps([{"a": text}]),
            lambda text: quote(text, safe=""),
            lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
            quote_plus,
            lambda text: repr(text.encode()),
        ]
    ),
)
def test_a_secret_is_found_however_it_is_written(secret: str, write: object) -> None:
    assert callable(write)
    try:
        written = write(secret)
    except UnicodeEncodeError:
        return
    assert logs.REDACTED in logs.redactor([secret])(written)


def test_of_two_secrets_the_longer_is_taken_out_whole() -> None:
    redact = logs.redactor(["hook", "hook-and-more", ""])
    assert redact("hook-and-more hook") == "[redacted] [redacted]"


def test_without_secrets_nothing_is_taken_out() -> None:
    assert logs.redactor([])("text") == "text"


def test_local_variables_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", [])
    local = "local-" + "variable"
    try:
        failing("x")
    except ValueError:
        log.exception("It failed.")
    assert local not in capsys.readouterr().err


def test_a_record_that_cannot_be_rendered_is_not_printed_raw(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", [SECRET])
    logging.getLogger("some").error("%d %s", SECRET, SECRET)
    (line,) = lines(capsys)
    assert line["event"] == "A log record could not be rendered."
    assert (line["logger"], line["kind"]) == ("some", "TypeError")


def test_a_closed_stderr_stops_nobody(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure("info", [])
    with open("/dev/null", "w", encoding="utf-8") as gone:  # noqa: PTH123 - any closed file
        pass
    monkeypatch.setattr(sys, "stderr", gone)
    log.info("Nobody reads this.")
    monkeypatch.undo()
    assert lines(capsys) == []


def test_warnings_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [SECRET])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"Beware of {SECRET}.", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "Beware of [redacted]." in str(lines(capsys)[0]["event"])


def test_an_error_that_nobody_caught_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [SECRET])
    try:
        failing(SECRET)
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    thread = threading.Thread(target=failing, args=(SECRET,))
    thread.start()
    thread.join()
    main, other = lines(capsys)
    for line in (main, other):
        assert line["level"] == "critical"
        assert "ValueError: failed with [redacted]" in str(line["exception"])


def test_an_interrupt_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [])
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert lines(capsys) == []
