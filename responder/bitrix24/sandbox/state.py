"""Holds the contents of the sandbox: items, workflows, templates, tasks, people."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.application.portal_account import Account, Kind
from responder.bitrix24.sandbox.contents.lists import Lists
from responder.bitrix24.sandbox.contents.ordered_rows import OrderedRows
from responder.bitrix24.sandbox.contents.stage_history import StageHistory
from responder.bitrix24.sandbox.contents.timeline import Notifications, Timeline
from responder.bitrix24.sandbox.methods.oddities import Oddities
from responder.bitrix24.sandbox.rows import comparable
from responder.bitrix24.sandbox.slots import Slots, Start

MOSCOW = timezone(timedelta(hours=3))
DONE = "3"  # STATUS of a task that was settled, neither with yes nor with no
ROBOTS = 8  # AUTO_EXECUTE of the templates that robots run from
Instant = datetime | str | None

LEAD, DEAL, CONTACT, COMPANY, QUOTE, INVOICE = 1, 2, 3, 4, 7, 31


class State(Account):
    """The contents of a portal, and the switches for its oddities.

    There are two kinds of portal. In the `cloud` two workflows at a time wait on an item of the
    CRM, and operating time is counted; `on_premise` has neither, and its module answers some
    refusals with other statuses than the cloud's documentation says.

    Everything may be changed while the sandbox is served: a test's thread changes, the server's
    thread reads, and both hold `lock` while they do.
    """

    def __init__(
        self,
        *,
        user_id: str = "1",
        secret: str = "sandbox-secret-0001",  # noqa: S107 - the key of a portal that does not exist
        admin: bool = True,
        scopes: Sequence[str] = ("bizproc", "crm", "user_brief", "task"),
        kind: Kind = "cloud",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            user_id=user_id, secret=secret, admin=admin, scopes=scopes, kind=kind, clock=clock
        )
        self.drop_filters = False  # every list answers as if it had no filter
        self.exact_filters = False  # no list compares by `LIKE`: what the documentation lets expect
        self.tells_operating = kind == "cloud"  # and blocks methods by it
        self.oddities = Oddities()
        self.not_found_text = "The business process is not found."  # in the portal's language
        self.plan_refused = False  # no plan, or no subscription, with REST: nothing is answered
        self.absent_methods: set[str] = set()  # a plan without them
        self.denied_methods: set[str] = set()  # ACCESS_DENIED, whatever is asked of them
        self.denied_items: set[tuple[int, int]] = set()  # (entityTypeId, id) we may not read

        # entityTypeIds; a smart process is known from its first item on, until it is taken out
        self.types = {LEAD, DEAL, CONTACT, COMPANY, QUOTE, INVOICE}
        self.items: dict[tuple[int, int], dict[str, object]] = {}
        self.tasks: dict[int, dict[str, object]] = {}
        self.templates: dict[str, dict[str, object]] = {}
        self.waiting_for_nothing: set[str] = set()  # templates whose workflows end as they start
        self.users: dict[str, dict[str, object]] = {}
        self.hidden_users: set[str] = set()
        self.statuses: list[dict[str, object]] = []
        self.workflows: OrderedRows[dict[str, str | None]] = OrderedRows(sorted_by=comparable)
        self.bizproc_tasks: dict[str, dict[str, object]] = {}
        self.killed: list[str] = []
        self.terminated: list[str] = []
        self.titles: dict[str, str] = {}  # of the states of terminated workflows
        self.zombie_days: int | None = None  # after so many idle days the portal deletes a workflow
        self.lists = Lists()
        self.timeline = Timeline()
        self.notifications = Notifications()
        self.stage_history = StageHistory()
        self.slots = Slots(2 if kind == "cloud" else None)
        self._serial = itertools.count(1)
        self.add_user(user_id)
        self._add_usual_stages()

    def add_item(self, entity_type_id: int, item_id: int | str, /, **fields: object) -> None:
        """Add or replace a CRM item; fields in camelCase, or a user field by its own name."""
        key = (entity_type_id, int(item_id))
        with self.lock:
            self.types.add(entity_type_id)
            self.items[key] = {"id": int(item_id), "entityTypeId": entity_type_id, **fields}

    def add_task(self, task_id: int | str, /, **fields: object) -> None:
        """Add or replace a task of the task module; values as text.

        Fields in camelCase, user fields by their own names: `UF_TASK2_X`.
        """
        with self.lock:
            self.tasks[int(task_id)] = {"id": str(task_id), **fields}

    def add_template(
        self,
        template_id: int | str,
        name: str,
        auto_execute: int = 0,
        document_type: Sequence[str] = ("crm", "CCrmDocumentDeal", "DEAL"),
    ) -> None:
        """Add a workflow template. Those of robots have `auto_execute=8` and are never listed."""
        module, entity, kind = document_type
        with self.lock:
            self.templates[str(template_id)] = {
                "ID": str(template_id),
                "MODULE_ID": module,
                "ENTITY": entity,
                "DOCUMENT_TYPE": [module, entity, kind],
                "AUTO_EXECUTE": str(auto_execute),
                "NAME": name,
                "DESCRIPTION": "",
                "MODIFIED": self.instant(),
                "IS_MODIFIED": "N",
                "USER_ID": self.user_id,
                "SYSTEM_CODE": None,
            }

    def add_user(
        self,
        user_id: int | str,
        /,
        *,
        active: bool = True,
        department: Sequence[int] | Mapping[str, int] = (1,),
        hidden: bool = False,
        name: str | None = None,
        last_name: str = "",
    ) -> None:
        """Add or replace a user. A list with holes is a map: `department={"0": 2, "2": 3}`.

        Integrators, bots and system users are `hidden`: `user.get` never lists them.
        """
        with self.lock:
            self.users[str(user_id)] = {
                "ID": str(user_id),
                "ACTIVE": active,
                "NAME": f"User {user_id}" if name is None else name,
                "LAST_NAME": last_name,
                "USER_TYPE": "employee",
                "UF_DEPARTMENT": (
                    dict(department) if isinstance(department, Mapping) else list(department)
                ),
            }
            (self.hidden_users.add if hidden else self.hidden_users.discard)(str(user_id))

    def add_administrator(self, user_id: int | str) -> None:
        """Make a user an administrator, who is added where there is none of this number."""
        with self.lock:
            super().add_administrator(user_id)
            if str(user_id) not in self.users:
                self.add_user(user_id)

    def add_status(
        self,
        entity_id: str,
        status_id: str,
        semantics: str | None = None,
        name: str | None = None,
    ) -> None:
        """Add a stage to a directory (`DEAL_STAGE_2`, `DYNAMIC_147_STAGE_3`); `S`, `F` or None."""
        meaning = {"S": "success", "F": "failure"}.get(semantics or "", "process")
        with self.lock:
            number = len(self.statuses) + 1
            self.statuses.append(
                {
                    "ID": str(100 + number),
                    "ENTITY_ID": entity_id,
                    "STATUS_ID": status_id,
                    "NAME": name or status_id,
                    "NAME_INIT": "",
                    "SORT": str(10 * number),
                    "SYSTEM": "N",
                    "CATEGORY_ID": None,
                    "COLOR": "#39A8EF",
                    "SEMANTICS": semantics,
                    "EXTRA": {"SEMANTICS": meaning, "COLOR": "#39A8EF"},
                }
            )

    def start_workflow(
        self,
        triple: Sequence[str],
        template_id: int | str,
        *,
        id: str | None = None,  # noqa: A002 - the word that callers know it by
        started: Instant = None,
        started_by: str | int = "1",
        modified: Instant = None,
        owned_until: Instant = None,
    ) -> str:
        """Start a workflow on (MODULE_ID, ENTITY, DOCUMENT_ID); return its id.

        In the cloud, where two wait on an item of the CRM already, it is `queued`: it runs, and is
        listed, once one of them ends.
        """
        module, entity, document_id = triple
        with self.lock:
            workflow_id = id or self._unique_id()

            def begin() -> None:
                self.workflows[workflow_id] = {
                    "ID": workflow_id,
                    "MODIFIED": self.instant(modified or started),
                    "OWNED_UNTIL": self.instant(owned_until) if owned_until else None,
                    "MODULE_ID": module,
                    "ENTITY": entity,
                    "DOCUMENT_ID": document_id,
                    "STARTED": self.instant(started),
                    "STARTED_BY": str(started_by),
                    "TEMPLATE_ID": str(template_id),
                }

            needs_slot = module == "crm" and not self.is_of_robots(template_id)
            start = Start(workflow_id, (module, entity, document_id), needs_slot, begin)
            self.slots.start(start, self.workflows)
        return workflow_id

    @property
    def queued(self) -> list[str]:
        """Return the workflows that wait for a slot."""
        with self.lock:
            return [start.workflow_id for start in self.slots.queue]

    def is_of_robots(self, template_id: int | str) -> bool:
        """Return whether a template is one of those that the portal never lists."""
        row = self.templates.get(str(template_id), {})
        return php.integer(row.get("AUTO_EXECUTE")) >= ROBOTS

    def add_bizproc_task(self, workflow_id: str, user_id: int | str, name: str) -> str:
        """Add a task, for which a workflow waits for a user; return the task's id."""
        with self.lock:
            row: Mapping[str, object] = self.workflows[workflow_id]
            task_id = str(1000 + next(self._serial))
            self.bizproc_tasks[task_id] = {
                "ID": task_id,
                "WORKFLOW_ID": workflow_id,
                "MODULE_ID": row["MODULE_ID"],
                "ENTITY": row["ENTITY"],
                "DOCUMENT_ID": row["DOCUMENT_ID"],
                "DOCUMENT_NAME": row["DOCUMENT_ID"],
                "DOCUMENT_URL": "",
                "NAME": name,
                "DESCRIPTION": "",
                "MODIFIED": self.instant(),
                "WORKFLOW_STARTED": row["STARTED"],
                "WORKFLOW_STARTED_BY": row["STARTED_BY"],
                "WORKFLOW_TEMPLATE_ID": row["TEMPLATE_ID"],
                "OVERDUE_DATE": None,
                "STATUS": "0",
                "USER_ID": str(user_id),
                "USER_STATUS": "0",
            }
        return task_id

    def add_task_user(self, task_id: str, user_id: int | str, *, answer: int = 0) -> None:
        """Add another user to a task, who may have answered already."""
        with self.lock:
            row: dict[str, object] = {"USER_ID": str(user_id), "USER_STATUS": str(answer)}
            self.bizproc_tasks[f"{task_id} {user_id}"] = self.bizproc_tasks[task_id] | row

    def end_workflow(self, workflow_id: str) -> bool:
        """End a workflow as if by itself; return whether it was running."""
        with self.lock:
            # Its tasks are done, and stay: the cloud keeps them for a day.
            for task in self._tasks_of(workflow_id).values():
                task["STATUS"] = task["USER_STATUS"] = DONE
            return self._leave(workflow_id)

    def stop_workflow(self, workflow_id: str) -> bool:
        """Kill or terminate a workflow and delete its tasks; return whether it was running."""
        with self.lock:
            if workflow_id not in self.workflows:
                return False
            for task_id in self._tasks_of(workflow_id):
                del self.bizproc_tasks[task_id]
            return self._leave(workflow_id)

    def clear_zombies(self) -> None:
        """Delete the workflows that have been idle too long, as an agent of the portal does.

        Nothing else goes with them: their tasks stay as they were, and nobody is told. The portal
        counts from midnight (module bizproc, ClearZombieInstanceAgent).
        """
        if self.zombie_days is None:
            return
        today = datetime.fromtimestamp(self.clock(), MOSCOW).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        oldest = today - timedelta(days=self.zombie_days)
        for workflow_id, row in list(self.workflows.items()):
            if datetime.fromisoformat(row["MODIFIED"] or "") < oldest:
                del self.workflows[workflow_id]

    def _tasks_of(self, workflow_id: str) -> dict[str, dict[str, object]]:
        tasks = self.bizproc_tasks.items()
        return {key: task for key, task in tasks if task["WORKFLOW_ID"] == workflow_id}

    def _leave(self, workflow_id: str) -> bool:
        left = self.workflows.pop(workflow_id, None) is not None
        self.slots.fill(self.workflows)
        return left

    def instant(self, at: Instant = None) -> str:
        """Return an instant (by default now) as the portal writes it: ISO 8601, seconds, offset."""
        if isinstance(at, str):
            return at
        now = datetime.fromtimestamp(self.clock(), MOSCOW)
        return (now if at is None else at).astimezone(MOSCOW).isoformat(timespec="seconds")

    def _unique_id(self) -> str:
        # PHP's uniqid("", true): seconds and microseconds in hex, then a digit, a dot, 8 digits.
        seconds, fraction = divmod(self.clock(), 1)
        serial = next(self._serial)
        return f"{int(seconds):08x}{int(fraction * 1e6):05x}{serial % 10}.{serial:08d}"

    def _add_usual_stages(self) -> None:
        for entity_id, won, lost in (
            ("DEAL_STAGE", "WON", "LOSE"),
            ("STATUS", "CONVERTED", "JUNK"),
            ("QUOTE_STATUS", "APPROVED", "DECLAINED"),
        ):
            self.add_status(entity_id, "DRAFT" if entity_id == "QUOTE_STATUS" else "NEW")
            self.add_status(entity_id, won, "S")
            self.add_status(entity_id, lost, "F")
