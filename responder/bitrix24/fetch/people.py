"""Reads the people of a workflow: those it waits for (its open tasks), and who started it.

Only workflows that wait for a person have tasks (docs: bizproc-task-list.md), so a workflow without
tasks waits for nobody. A task of several users has a row for each of them, also of those who have
answered already (module bizproc, CBPTaskService::GetList joins b_bp_task_user). A user that the
portal does not show (hidden system users never are, docs: user-get.md) is unknown. Users are
remembered for a moment: they change rarely, and every workflow of a portal asks for the same few.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from responder.bitrix24.client.answers import Answer, Command, Failure, as_list, explain, uncertain
from responder.bitrix24.lists.id_ranges import RangedList
from responder.bitrix24.lists.paged import REMEMBERED_FOR, Listing, Row, unless_rejected
from responder.model import Unknown

RUNNING = "0"  # STATUS of a task that still waits, USER_STATUS of a user it waits for
USERS = 50  # rows of one page of user.get
OPEN_TASK_FIELDS = ("ID", "WORKFLOW_ID", "USER_ID", "STATUS", "USER_STATUS")

_TASKS = frozenset({"workflow.tasks"})
_OF_TASKS = ("workflow.tasks", "waiting_for.id", "waiting_for.active", "waiting_for.department")
_MANY = 256  # sets of paths: a rule's, or those of one document's rules
_NO_DEPARTMENTS = Unknown("the portal does not tell the departments")
_EMPTY_STARTER: Mapping[str, object] = {
    "starter.id": None,
    "starter.active": None,
    "starter.department": None,
}


@dataclass(frozen=True, slots=True)
class User:
    """A user as `user.get` returns it: whether active, and the ids of the departments."""

    active: object
    department: object


@dataclass(slots=True)
class Users:
    """The users that a portal's driver remembers, each with the time of the read."""

    known: dict[str, tuple[datetime, User]] = field(default_factory=dict)


@lru_cache(_MANY)
def needs_tasks(paths: frozenset[str]) -> bool:
    """Return whether these facts need the tasks of a workflow."""
    return bool(paths & _TASKS) or any(path.startswith("waiting_for.") for path in paths)


@lru_cache(_MANY)
def needs_users(paths: frozenset[str]) -> bool:
    """Return whether these facts need more of a user than the id."""
    return any(
        path.startswith(("waiting_for.", "starter.")) and not path.endswith(".id") for path in paths
    )


@lru_cache(_MANY)
def _asks_starter(paths: frozenset[str]) -> bool:
    return any(path.startswith("starter.") for path in paths)


def open_tasks(wanted: Mapping[str, object] | None = None, order: str = "ASC") -> Command:
    """Return the command for the tasks that wait for somebody, a row for each of their users."""
    return Command(
        "bizproc.task.list",
        {
            "SELECT": list(OPEN_TASK_FIELDS),
            "FILTER": {**(wanted or {}), "STATUS": RUNNING},
            "ORDER": {"ID": order},
        },
    )


def users_of_ids(user_ids: Sequence[str]) -> Command:
    """Return the command for these users, at most fifty; others may come too."""
    if len(user_ids) == 1:
        return user_of_id(user_ids[0])
    return Command("user.get", {"FILTER": {"ID": list(user_ids)}})


def user_of_id(user_id: str) -> Command:
    """Return the command for one user; others may come too."""
    return Command("user.get", {"FILTER": {"ID": user_id}})


def tasks_of(workflow_id: str) -> Listing:
    """Return a list of the tasks that a workflow waits for; rows of others are not kept."""
    return Listing(
        open_tasks({"WORKFLOW_ID": workflow_id}),
        id_of=_checked_task_key,
        keep=lambda row: row.get("WORKFLOW_ID") == workflow_id and is_waiting(row),
        twice=True,
    )


def all_tasks() -> RangedList:
    """Return a list of every task of the portal that waits for somebody."""
    return RangedList(open_tasks(), key_of=_checked_task_key, keep=is_waiting)


class UsersRead:
    """The read of up to fifty users, for `paged.read_all`: a list first, then whom it left out.

    Whom the list did not show is asked for by the own number, so that a portal which does not take
    several numbers in a filter shows them all the same.
    """

    def __init__(self, user_ids: Sequence[str]) -> None:
        self.found: dict[str, User | Unknown] = {}
        self.failures: dict[str, Failure] = {}
        self._ahead: list[tuple[str, ...]] = [tuple(user_ids)]
        self._asked: list[tuple[str, ...]] = []

    def next_commands(self) -> list[Command]:
        """Return the command for all, then one for each who was left out, then none."""
        self._asked, self._ahead = self._ahead, []
        return [users_of_ids(ids) for ids in self._asked]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Find the users among the rows, whoever else is there."""
        for ids, answer in zip(self._asked, answers, strict=True):
            failure = answer.failure
            if failure is None and not isinstance(answer.value, list):
                failure = uncertain("wrong_type", "the answer is no list of users")
            if failure is not None:
                self.found.update(dict.fromkeys(ids, Unknown(explain(failure))))
                self.failures.update(dict.fromkeys(ids, failure))
            else:
                self._accept_rows(ids, answer.value)

    def _accept_rows(self, ids: Sequence[str], value: object) -> None:
        rows = (row for row in value if isinstance(row, dict)) if isinstance(value, list) else ()
        shown = {str(row.get("ID")): row for row in rows}
        for user_id in ids:
            row = shown.get(user_id)
            if row is not None:
                self.found[user_id] = _user(row)
            elif len(ids) > 1:
                self._ahead.append((user_id,))
            else:
                self.found[user_id] = Unknown(f"the portal does not show user {user_id}")


def _user(row: Row) -> User:
    return User(
        row.get("ACTIVE", Unknown("the portal does not say whether the user is active")),
        as_list(row.get("UF_DEPARTMENT", _NO_DEPARTMENTS)),
    )


class People:
    """The people of one gathering: tasks by workflow, users by id.

    For each workflow, only the facts that the rules of its own document need (`paths`) are read and
    returned.
    """

    def __init__(self, users: Users, now: datetime) -> None:
        self._users = users
        self._now = now
        self._tasks: dict[str, Listing] = {}
        self._all: RangedList | None = None
        self._by_workflow: dict[str, list[Row]] = {}
        self._reads: list[UsersRead] = []
        self._found: dict[str, User | Unknown] = {}
        self._failures: dict[str, Failure] = {}  # of users

    def task_reads(self, workflow_ids: Iterable[str]) -> list[Listing]:
        """Return the reads of the tasks of these workflows."""
        self._tasks = {workflow_id: tasks_of(workflow_id) for workflow_id in workflow_ids}
        return list(self._tasks.values())

    def all_task_reads(self) -> list[RangedList]:
        """Return the read of all tasks, for a reading of many workflows.

        It must not begin before the running workflows are known: one that starts meanwhile would
        have its task after the tasks were read, and seem to wait for nobody.
        """
        self._all = all_tasks()
        return [self._all]

    @property
    def unread(self) -> Failure | None:
        """Return why the list of all tasks could not be read; None where it was, or need not be."""
        return None if self._all is None else self._all.failure

    def user_reads(
        self, asked: Iterable[tuple[Row, frozenset[str]]], others: Iterable[str] = ()
    ) -> list[UsersRead]:
        """Return the reads of users that are not remembered, once the tasks are known.

        `others` are users that something else than a workflow names.
        """
        for row in self._all.rows.values() if self._all is not None else ():
            self._by_workflow.setdefault(str(row.get("WORKFLOW_ID")), []).append(row)
        for tasks in self._by_workflow.values():
            tasks.sort(key=task_order)  # they may have come in any order
        wanted = dict.fromkeys(user for row, paths in asked for user in self._users_of(row, paths))
        wanted |= dict.fromkeys(others)
        # Kept here, since another gathering may forget them before this one has come to its end.
        self._found = {u: known for u in wanted if (known := self._remembered(u)) is not None}
        unread = [user for user in wanted if user not in self._found]
        self._reads = [
            UsersRead(unread[start : start + USERS]) for start in range(0, len(unread), USERS)
        ]
        return self._reads

    def keep(self) -> None:
        """Remember the users that were read."""
        for read in self._reads:
            self._found.update(read.found)
            self._failures.update(read.failures)
            for user_id, found in read.found.items():
                if isinstance(found, User):
                    self._users.known[user_id] = (self._now, found)
        old = [key for key, (at, _) in self._users.known.items() if not self._good(at)]
        for key in old:
            del self._users.known[key]

    def person(self, user_id: str, name: str) -> tuple[object, Failure | None]:
        """Return one fact of a user, and the failure behind it where it is unknown."""
        user = self._user(user_id)
        failure = self._failures.get(user_id)
        found = user if isinstance(user, Unknown) else getattr(user, name)
        return found, None if failure is None else unless_rejected(failure)

    def facts(
        self, row: Row, paths: frozenset[str]
    ) -> tuple[dict[str, object], tuple[Failure, ...]]:
        """Return a workflow's facts of tasks and people, and the failures behind unknown ones."""
        facts: dict[str, object] = {}
        if _asks_starter(paths):
            facts |= self._starter(row, with_user=needs_users(paths))
        if needs_tasks(paths):
            facts |= self._waiting_for(str(row["ID"]), with_users=needs_users(paths))
        return facts, tuple(self._unread(row, paths))

    def _unread(self, row: Row, paths: frozenset[str]) -> Iterator[Failure]:
        listing = self._listing(str(row["ID"])) if needs_tasks(paths) else None
        met = [None if listing is None else listing.failure]
        met += [self._failures.get(user) for user in self._users_of(row, paths)]
        for failure in met:
            if failure is not None and unless_rejected(failure) is not None:
                yield failure

    def _users_of(self, row: Row, paths: frozenset[str]) -> Iterator[str]:
        """Yield the users of whom more than the id is needed."""
        if not needs_users(paths):
            return
        if _asks_starter(paths) and (starter := _user_id(row.get("STARTED_BY"))):
            yield starter
        for task in self._waiting(str(row["ID"])) if needs_tasks(paths) else ():
            if user := _user_id(task.get("USER_ID")):
                yield user

    def _listing(self, workflow_id: str) -> Listing | RangedList | None:
        return self._all if self._all is not None else self._tasks.get(workflow_id)

    def _waiting(self, workflow_id: str) -> list[Row]:
        if self._all is not None:
            return self._by_workflow.get(workflow_id, [])
        listing = self._tasks.get(workflow_id)
        return sorted(listing.rows.values(), key=task_order) if listing is not None else []

    def _waiting_for(self, workflow_id: str, *, with_users: bool) -> dict[str, object]:
        listing = self._listing(workflow_id)
        if listing is None or not listing.whole:
            failure = None if listing is None else listing.failure
            why = Unknown(explain(failure) if failure else "its tasks were not read")
            return dict.fromkeys(_OF_TASKS, why)
        tasks = self._waiting(workflow_id)
        ids = list(dict.fromkeys(str(task.get("USER_ID")) for task in tasks))
        count = len({str(task["ID"]) for task in tasks})
        facts: dict[str, object] = {"workflow.tasks": count, "waiting_for.id": ids}
        if with_users:
            users = [self._user(user_id) for user_id in ids]
            facts["waiting_for.active"] = _each(users, "active")
            facts["waiting_for.department"] = _each(users, "department")
        return facts

    def _starter(self, row: Row, *, with_user: bool) -> dict[str, object]:
        if "STARTED_BY" not in row or isinstance(row["STARTED_BY"], bool):
            return {}
        user_id = _user_id(row["STARTED_BY"])
        if user_id is None:
            return dict(_EMPTY_STARTER)
        facts: dict[str, object] = {"starter.id": user_id}
        if with_user:
            user = self._user(user_id)
            facts["starter.active"] = user if isinstance(user, Unknown) else user.active
            facts["starter.department"] = user if isinstance(user, Unknown) else user.department
        return facts

    def _user(self, user_id: str) -> User | Unknown:
        return self._found.get(user_id, Unknown("the user was not read"))

    def _remembered(self, user_id: str) -> User | None:
        known = self._users.known.get(user_id)
        return known[1] if known is not None and self._good(known[0]) else None

    def _good(self, at: datetime) -> bool:
        return timedelta(0) <= self._now - at < REMEMBERED_FOR


def _each(users: Sequence[User | Unknown], name: str) -> object:
    """Return the values of several users as one list; one unknown makes all of it unknown."""
    values: list[object] = []
    for user in users:
        value = user if isinstance(user, Unknown) else getattr(user, name)
        if isinstance(value, Unknown):
            return value
        values += value if isinstance(value, list) else [value]
    return values


def is_waiting(row: Row) -> bool:
    """Return whether a task still waits for the user that this row names."""
    return all(str(row.get(name, RUNNING)) == RUNNING for name in ("STATUS", "USER_STATUS"))


def task_order(row: Row) -> tuple[int, int]:
    """Return the sort key of rows of tasks: the task, then the user."""
    task, user = (str(row.get(name)) for name in ("ID", "USER_ID"))
    return _number(task), _number(user)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _user_id(value: object) -> str | None:
    if value is None or isinstance(value, bool) or str(value) in ("", "0"):
        return None
    return str(value)


def _checked_task_key(row: Row) -> str | None:
    """Return a row's key, or None where it lacks a workflow, a user or a state that can be read."""
    if not isinstance(row.get("WORKFLOW_ID"), str):
        return None
    for name in ("USER_ID", "STATUS", "USER_STATUS"):
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).isdigit():
            return None
    return task_key(row)


def task_key(row: Row) -> str | None:
    """Return a row's key: its task's id, and its user's where it has one."""
    value = row.get("ID")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return f"{value} {row.get('USER_ID', '')}"
