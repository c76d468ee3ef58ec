"""Listens to a portal's answers as they come, and finds the one that belongs to each command."""

from collections.abc import Mapping, Sequence

from responder.bitrix24.client.answers import Answer, Command, decoded
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import written
from responder.bitrix24.probe.question import Reply

_BESIDE = {"total": "result_total", "next": "result_next", "time": "result_time"}


class Listener:
    """Keeps each answer as it came. Give `hear` to a `Portal` as its `on_answer`."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, Mapping[str, object]]] = []
        self._heard: dict[str, tuple[int | None, Mapping[str, object]]] = {}

    def hear(self, method: str, params: Mapping[str, object], status: int, body: bytes) -> None:
        """Keep the answer to one request."""
        content = decoded(body)
        if content is None:
            return
        if method != "batch":
            text = written(Command(method, params))
            self._heard[text or method] = (status, content)
            return
        self.batches.append((status, content))
        parts, commands = content.get("result"), params.get("cmd")
        if isinstance(parts, dict) and isinstance(commands, dict):
            for key, text in commands.items():
                self._heard[str(text)] = (None, _of_command(str(key), parts))

    def reply(self, command: Command, answer: Answer) -> Reply:
        """Return an answer together with how it came."""
        status, content = self._heard.get(written(command) or command.method, (None, None))
        return Reply(answer, status, content)

    def asking(self, client: Client) -> "Asking":
        """Return what sends commands through a client and returns replies."""
        return Asking(client, self)


class Asking:
    """Sends the commands of an interview through a client, whose portal is listened to."""

    def __init__(self, client: Client, listener: Listener) -> None:
        self._client = client
        self._listener = listener

    async def __call__(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands and return each one's reply in its place."""
        answers = await self._client.send(commands, halves=False)  # the interview counts its calls
        pairs = zip(commands, answers, strict=True)
        return [self._listener.reply(command, answer) for command, answer in pairs]


def _of_command(key: str, parts: Mapping[str, object]) -> dict[str, object]:
    """Return the answer to one command of a batch in the form of a single call's."""
    errors = _part(parts, "result_error")
    if key in errors:
        error = errors[key]
        return dict(error) if isinstance(error, dict) else {"error": error}
    results = _part(parts, "result")
    found: dict[str, object] = {"result": results[key]} if key in results else {}
    for name, part in _BESIDE.items():
        if key in _part(parts, part):
            found[name] = _part(parts, part)[key]
    return found


def _part(parts: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = parts.get(name)
    return part if isinstance(part, dict) else {}
