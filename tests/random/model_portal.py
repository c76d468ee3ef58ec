"""What happens in the portal: each may come at any moment, and changes what can be seen of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from responder.bitrix24 import documents
from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.application.portal_account import Kind
from tests.random.model_facts import ELEMENTS, LIST_OF, VIP, Row, View
from tests.random.model_watch import Watch

DEALS = (1, 2, 3)
BEGINNING = 1_790_000_000.0  # a Monday afternoon
LATE_SECONDS = 58.0
CROWD = "crowd"  # a workflow for which half the company has to do something
_DEAL_TYPE = 2
_TYPES = {"contact": 3, "company": 4}
# What deals are linked to at first, by kind and number.
_LINKED: Mapping[tuple[str, int], Mapping[str, str]] = {
    ("company", 5): {"industry": "IT"},
    ("company", 17): {"industry": "BANKING"},
    ("contact", 3): {"post": "Chief"},
    ("contact", 4): {"post": "Clerk"},
}
# Whether users work here, and in which departments. They stay as they are: they are remembered.
_USERS: Mapping[str, tuple[bool, tuple[int, ...]]] = {
    **dict.fromkeys(("1", "5"), (True, (1,))),
    "7": (True, (1, 2)),
    "8": (True, (3,)),
    "9": (False, (3,)),
}
_HIDDEN: Final = "8"
_STATES = {"7": "done", "8": "open", "9": "done"}  # of elements, at first
_OF_A_ROW = ("DOCUMENT_ID", "TEMPLATE_ID", "STARTED", "STARTED_BY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is at first: workflows on each deal, deals of the protected company.

    Workflows are started by one of `starters` in turn, and each is so many hours old as the next of
    `ages` says. With `lists` there are elements of lists too, with a workflow on each. `waiting` is
    whom the workflows wait for, one of them each in turn. With `crowd` so many tasks wait in the
    portal besides, that they are read by ranges. In the `cloud` two workflows run on a deal at a
    time, and others begin when one of them ends.
    """

    templates: tuple[str, ...] = ("61", "62")
    of_vip: tuple[int, ...] = ()
    starters: tuple[str, ...] = ("1",)
    ages: tuple[float, ...] = (0.0,)
    lists: bool = False
    waiting: tuple[str, ...] = ()
    crowd: int = 0
    kind: Kind = "on_premise"


class PortalDeeds:
    """The portal. `real` is real time, `offset` how wrong our clock is."""

    watch: Watch

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.real = BEGINNING
        self.offset = 0.0
        self.sandbox = Sandbox(kind=scene.kind, clock=lambda: self.real)
        self.sandbox.scopes = (*self.sandbox.scopes, "lists")
        self.broken = False
        self.late_next = False
        self.late: list[tuple[float, str, dict[str, object]]] = []
        self.names = iter(range(1, 10_000))
        self._rows: dict[str, dict[str, str | None]] = {}

    def now(self) -> datetime:
        """Return our time, right or wrong."""
        return datetime.fromtimestamp(self.real + self.offset, UTC)

    async def populate(self) -> None:
        """Set up deals and workflows."""
        self._add_what_deals_link_to()
        for deal in DEALS:
            fields = {"stageSemanticId": "F", "opportunity": "500", "UF_CRM_PRICE": "150|RUB"}
            fields |= {"companyId": VIP if deal in self.scene.of_vip else "5", "assignedById": "9"}
            fields |= {"contactId": "3", "createdBy": "7", "title": "A", "UF_CRM_CLIENT": "x"}
            self.sandbox.add_item(_DEAL_TYPE, deal, categoryId=0, observers=[7], **fields)
        for deal in DEALS:
            for template in self.scene.templates:
                await self.start_workflow(deal, template)
        if self.scene.lists:
            await self._add_lists()
        self._let_wait()
        self.changed()

    def _let_wait(self) -> None:
        for place, workflow_id in enumerate(list(self.sandbox.workflows)):
            if self.scene.waiting:
                user = self.scene.waiting[place % len(self.scene.waiting)]
                self.sandbox.add_bizproc_task(workflow_id, user, "Approve")
        if self.scene.crowd:
            self.sandbox.start_workflow(("lists", "BizprocDocument", "77"), "7", id=CROWD)
            for number in range(self.scene.crowd):
                self.sandbox.add_bizproc_task(CROWD, 100 + number, "Read")

    def _add_what_deals_link_to(self) -> None:
        for (kind, number), fields in _LINKED.items():
            self.sandbox.add_item(_TYPES[kind], number, **fields)
        for user, (active, departments) in _USERS.items():
            hidden = user == _HIDDEN
            self.sandbox.add_user(user, active=active, department=list(departments), hidden=hidden)

    async def _add_lists(self) -> None:
        lists = self.sandbox.lists
        for template, number in LIST_OF.items():
            lists.add(number, f"List {number}")
            lists.add_field(number, "PROPERTY_1", "State")
            lists.add_field(number, "PROPERTY_2", "Days")
            self._list_template(template)
        for template, element in zip(LIST_OF, ELEMENTS, strict=True):
            values: dict[str, Any] = {"PROPERTY_1": _STATES[element], "PROPERTY_2": "3"}
            lists.add_element(LIST_OF[template], int(element), "Leave", created_by=9, **values)
            await self.start_on_element(element, template)

    def _list_template(self, template: str) -> None:
        triple = ("lists", documents.LIST, f"iblock_{LIST_OF[template]}")
        self.sandbox.add_template(template, "Approval", document_type=triple)

    async def start_workflow(self, deal: int, template: str) -> None:
        """Start a workflow on a deal."""
        self._start(("crm", "CCrmDocumentDeal", f"DEAL_{deal}"), template)

    async def start_on_element(self, element: str, template: str) -> None:
        """Start a workflow on an element of a list, of a template that is for its list."""
        if ELEMENTS[element] == f"list_{LIST_OF[template]}":
            self._start(("lists", documents.LIST, element), template)

    def _start(self, triple: tuple[str, str, str], template: str) -> None:
        scene, number = self.scene, next(self.names)
        age = scene.ages[number % len(scene.ages)]
        self.sandbox.start_workflow(
            triple,
            template,
            id=f"w.{number}",
            started=datetime.fromtimestamp(self.real - age * 3600, UTC),
            started_by=scene.starters[number % len(scene.starters)],
        )
        self.changed()

    @property
    def running(self) -> list[str]:
        """Return the names of the workflows that run on deals."""
        return [name for name in self.sandbox.workflows if name != CROWD]

    async def end_workflow(self, number: int) -> None:
        """Let a workflow end by itself."""
        running = self.running
        if running:
            ended = running[number % len(running)]
            self.sandbox.end_workflow(ended)
            self.watch.ended[ended] += 1
            self.changed()

    async def come_back(self, number: int) -> None:
        """Let a workflow that was stopped write itself back."""
        stopped = dict.fromkeys(self.watch.stopped)
        gone = [name for name in stopped if name not in self.sandbox.workflows]
        if gone:
            back = gone[number % len(gone)]
            self.sandbox.workflows[back] = dict(self._rows[back])
            self.watch.came_back(back)
            self.changed()

    async def move_task(self, number: int, user: str) -> None:
        """Let a workflow wait for another user: what it asks is a new task, with a new number."""
        running = self.running
        if running:
            moved = running[number % len(running)]
            for task_id, task in list(self.sandbox.bizproc_tasks.items()):
                if task["WORKFLOW_ID"] == moved:
                    del self.sandbox.bizproc_tasks[task_id]
            self.sandbox.add_bizproc_task(moved, user, "Approve")
            self.changed()

    async def change_deal(self, deal: int, name: str, value: object) -> None:
        """Change a field of a deal; None takes it away."""
        item = self.sandbox.items[_DEAL_TYPE, deal]
        item.pop(name, None)
        if value is not None:
            item[name] = value
        self.changed()

    async def deny(self, deal: int) -> None:
        """Take away, or give back, the right to read a deal."""
        self.sandbox.denied_items ^= {(_DEAL_TYPE, deal)}
        self.changed()

    async def change_linked(self, kind: str, number: int, name: str, value: str) -> None:
        """Change a field of a company or contact."""
        self.sandbox.items[_TYPES[kind], number][name] = value
        self.changed()

    async def deny_linked(self, kind: str, number: int) -> None:
        """Take away, or give back, the right to read a company or contact."""
        self.sandbox.denied_items ^= {(_TYPES[kind], number)}
        self.changed()

    async def change_element(self, element: str, name: str, value: object) -> None:
        """Change a property of an element: to one value, several, or none."""
        lists = self.sandbox.lists
        block = lists.blocks[int(ELEMENTS[element].removeprefix("list_"))]
        old = block.elements[int(element)]
        kept = {field: list(values.values()) for field, values in old.properties.items()}
        values: dict[str, Any] = {**kept, name: value}
        lists.add_element(block.id, old.id, old.name, created_by=old.created_by, **values)
        self.changed()

    async def hide_list(self, number: int) -> None:
        """Take away, or give back, the right to read a list."""
        block = self.sandbox.lists.blocks[number]
        block.readable = not block.readable
        self.changed()

    async def hide_template(self, template: str) -> None:
        """Let the portal list a template no more, or again."""
        if template in self.sandbox.templates:
            del self.sandbox.templates[template]
        else:
            self._list_template(template)
        self.changed()

    async def drop_filters(self) -> None:
        """Let the portal forget its filters, or remember them again."""
        self.sandbox.drop_filters = not self.sandbox.drop_filters

    async def fail(self, method: str, fault: str) -> None:
        """Let the next call of a method fail."""
        self.sandbox.fail_next(method, fault)

    async def be_late(self) -> None:
        """Let the next stop take effect only after we gave up waiting for the answer."""
        self.late_next = True

    def postpone(self, method: str, params: dict[str, object], stops: Sequence[str]) -> None:
        """Let a request take effect later."""
        self.late_next = False
        self.late.append((self.real + LATE_SECONDS, method, params))
        self.watch.under_way.update(stops)

    def changed(self) -> None:
        """Remember how the world is now."""
        sandbox = self.sandbox
        self._rows |= {name: dict(row) for name, row in sandbox.workflows.items()}
        waiting: dict[str, list[str]] = {}
        for task in sandbox.bizproc_tasks.values():
            if task["STATUS"] == task["USER_STATUS"] == "0":  # what is done is kept
                waiting.setdefault(str(task["WORKFLOW_ID"]), []).append(str(task["USER_ID"]))
        self.watch.state(
            View(
                deals={deal: dict(sandbox.items[_DEAL_TYPE, deal]) for deal in DEALS},
                denied=frozenset(n for type_, n in sandbox.denied_items if type_ == _DEAL_TYPE),
                workflows={
                    name: Row(*(str(row[key]) for key in _OF_A_ROW))
                    for name, row in sandbox.workflows.items()
                },
                tasks={name: tuple(users) for name, users in waiting.items() if name != CROWD},
                elements=self._elements() if self.scene.lists else {},
                linked=self._linked(),
                listed=frozenset(sandbox.templates),
                clock=self.now().timestamp(),
            )
        )

    def _elements(self) -> dict[str, dict[str, object]]:
        """Return what may be read of elements: each property that is not empty."""
        found = {}
        for block in self.sandbox.lists.blocks.values():
            for number, element in block.elements.items() if block.readable else ():
                fields: dict[str, object] = {"name": element.name, "created_by": element.created_by}
                for name, values in element.properties.items():
                    one, *others = values.values()
                    fields[name.lower()] = (one, *others) if others else one
                found[str(number)] = fields
        return found

    def _linked(self) -> dict[tuple[str, str], dict[str, object]]:
        """Return what may be read of companies, contacts and users."""
        found: dict[tuple[str, str], dict[str, object]] = {
            ("user", user): {"active": str(active).lower(), "department": departments}
            for user, (active, departments) in _USERS.items()
            if user != _HIDDEN
        }
        for kind, number in _LINKED:
            if (_TYPES[kind], number) not in self.sandbox.denied_items:
                found[kind, str(number)] = dict(self.sandbox.items[_TYPES[kind], number])
        return found
