"""A portal in which workflows move from task to task between any two answers, row by row."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.fetch.document_facts import Ask
from responder.model import Document

PAGE = 50
LOST = Answer(failure=Failure(FailureKind.UNCERTAIN, "timeout", "no answer"))


def deal(number: int) -> Document:
    found = documents.of_item("deal", str(number))
    assert found is not None
    return found


@dataclass(slots=True)
class Moving:
    """Every workflow waits for somebody from its start to its end, for one task after another.

    Between two answers up to `moves` things happen: a task is answered as the next one begins, a
    second one begins or is answered, a workflow starts or ends. `drops`: filters are not
    understood. `loses`: so many answers in a hundred are lost.
    """

    chance: random.Random
    count: int
    moves: int = 3
    drops: bool = False
    loses: int = 0
    running: dict[str, int] = field(default_factory=dict)
    tasks: dict[int, dict[str, object]] = field(default_factory=dict)
    _last: int = 0
    _numbered: dict[str, int] = field(default_factory=dict)
    _serial: int = 0

    def __post_init__(self) -> None:
        for _ in range(self.count):
            self._start()

    @property
    def asks(self) -> list[Ask]:
        """Ask of every deal that has a workflow whom it waits for."""
        paths = frozenset({"waiting_for.id", "workflow.tasks"})
        return [Ask(deal(number), paths) for number in self.running.values()]

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        """Answer one command after the other; something happens after each."""
        return [self.answer(command) for command in commands]

    def answer(self, command: Command) -> Answer:
        """Answer a command."""
        if command.method == "bizproc.workflow.template.list":
            return Answer(value=[{"ID": "61", "NAME": "Approval"}], total=1)
        lists = {"bizproc.workflow.instances": self._instances, "bizproc.task.list": self._waiting}
        answer = lists[command.method](command.params)
        for _ in range(self.chance.randint(0, self.moves)):
            self._move()
        return LOST if self.chance.randrange(100) < self.loses else answer

    def _instances(self, params: Mapping[str, object]) -> Answer:
        wanted = params.get("FILTER", {})
        assert isinstance(wanted, Mapping)
        rows = []
        for workflow_id, number in sorted(self.running.items()):
            module, entity, document_id = deal(number).triple
            row = {"MODULE_ID": module, "ENTITY": entity, "DOCUMENT_ID": document_id}
            told = {"ID": workflow_id, "TEMPLATE_ID": "61", **row}
            if self.drops or wanted.items() <= told.items():
                rows.append(told)
        start = int(str(params.get("start", 0)))
        part = rows[start : start + PAGE]
        more = start + len(part) if start + len(part) < len(rows) else None
        return Answer(value=part, total=len(rows), next=more)

    def _waiting(self, params: Mapping[str, object]) -> Answer:
        wanted, order = params.get("FILTER", {}), params["ORDER"]
        assert isinstance(wanted, Mapping)
        assert isinstance(order, Mapping)
        found = [row for _, row in sorted(self.tasks.items()) if self.drops or _is(row, wanted)]
        if order["ID"] == "DESC":
            found.reverse()
        start = int(str(params.get("start", 0))) // PAGE * PAGE
        start = start if start < len(found) else 0
        part = [dict(row) for row in found[start : start + PAGE]]
        more = start + PAGE if start + PAGE < len(found) else None
        return Answer(value=part, total=len(found), next=more)

    def _move(self) -> None:
        what = self.chance.random()
        if what < 0.1 or not self.running:
            self._start()
            return
        workflow_id = self.chance.choice(list(self.running))
        if what < 0.2:
            del self.running[workflow_id]
            for number in self._of(workflow_id):
                del self.tasks[number]
        elif what < 0.3:
            self._open(workflow_id)
        elif what < 0.4:
            self._last += 1  # a number is given out, and its row can be seen a little later
            self._numbered[workflow_id] = self._last
        else:
            waiting = [n for n in self._of(workflow_id) if self.tasks[n]["STATUS"] == "0"]
            if len(waiting) == 1:
                self._open(workflow_id)
            self.tasks[self.chance.choice(waiting)]["STATUS"] = "1"

    def _start(self) -> None:
        self._serial += 1
        workflow_id = f"65e5a449e8f135.{self._serial:08d}"
        self.running[workflow_id] = self._serial
        self._open(workflow_id)

    def _open(self, workflow_id: str) -> None:
        number = self._numbered.pop(workflow_id, None)
        if number is None or self._last - number > 5:
            self._last += self.chance.randint(1, 3)
            number = self._last
        told = {"ID": str(number), "WORKFLOW_ID": workflow_id, "USER_ID": str(number % 7 + 1)}
        self.tasks[number] = {**told, "STATUS": "0", "USER_STATUS": "0"}

    def _of(self, workflow_id: str) -> list[int]:
        return [n for n, row in self.tasks.items() if row["WORKFLOW_ID"] == workflow_id]


def _is(row: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    number = int(str(row["ID"]))
    after, through = wanted.get(">ID", 0), wanted.get("<=ID", number)
    assert isinstance(after, int)
    assert isinstance(through, int)
    plain = {name: value for name, value in wanted.items() if name[0] not in "<>"}
    return after < number <= through and plain.items() <= row.items()
