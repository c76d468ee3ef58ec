"""Answers `POST /__sandbox__/<verb>`, JSON in and JSON out, to who has the key.

    {"result": ..}                                                200
    {"error": "what is wrong", "mistakes": ["name: why", ..]}     400
    {"error": ..}                     403 another key, 404 no such verb, 405 no POST

There is no door before `open_door`: the address is then like any other that the portal lacks.
"""

import hmac
import json
from collections.abc import Mapping

from pydantic import ValidationError

from responder.bitrix24.sandbox import wire
from responder.bitrix24.sandbox.control.verbs import Verbs
from responder.bitrix24.sandbox.portal import DOOR, Sandbox

KEY_HEADER = "X-Sandbox-Key"


def open_door(sandbox: Sandbox, key: str) -> None:
    """Answer whoever sends this key, from now on; raise `ValueError` for an empty one."""
    if not key:
        raise ValueError("a door needs a key")
    verbs = Verbs(sandbox).table()
    names = ", ".join(verbs)

    def answer(asked: wire.Inquiry) -> wire.Reply:
        given = asked.headers.get(KEY_HEADER.lower(), "")
        if not hmac.compare_digest(given.encode(), key.encode()):
            return _refusal(403, f"the header {KEY_HEADER} does not have the key of this sandbox")
        if asked.http_method != "POST":
            return _refusal(405, "only POST")
        act = verbs.get(asked.path.removeprefix(DOOR).removesuffix("/"))
        if act is None:
            return _refusal(404, f"there is no such verb; there are: {names}")
        try:
            with sandbox.lock:
                return wire.encode(200, {"result": act(**_parameters(asked.content))})
        except ValidationError as error:
            return _refusal(400, "wrong parameters", [_mistake(one) for one in error.errors()])
        except (ValueError, LookupError) as error:
            return _refusal(400, str(error))

    sandbox.door = answer


def _parameters(content: bytes) -> dict[str, object]:
    """Return the parameters of a body; none at all is no parameters."""
    if not content.strip():
        return {}
    try:
        body = json.loads(content)
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValueError("the body is no JSON object")
    return body


def _mistake(error: Mapping[str, object]) -> str:
    """Return one mistake without the value, which may be secret."""
    places = error["loc"]
    where = ".".join(map(str, places)) if isinstance(places, tuple) else ""
    return f"{where}: {error['msg']}"


def _refusal(status: int, text: str, mistakes: list[str] | None = None) -> wire.Reply:
    return wire.encode(
        status, {"error": text, **({"mistakes": mistakes} if mistakes is not None else {})}
    )
