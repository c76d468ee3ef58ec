"""Defines what may be asked of a sandbox from outside: each verb is a method of `Verbs`."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, validate_call

from responder.bitrix24.sandbox.application.application_state import Application
from responder.bitrix24.sandbox.application.bindings import INSTALLED_EVENT
from responder.bitrix24.sandbox.application.event_bindings import Outgoing
from responder.bitrix24.sandbox.application.sender import send
from responder.bitrix24.sandbox.contents.lists import ListType
from responder.bitrix24.sandbox.contents.stage_history import MOVED, Semantics
from responder.bitrix24.sandbox.control.switches import Switches
from responder.bitrix24.sandbox.portal import Sandbox

Verb = Callable[..., object]
Id = int | str
Fields = dict[str, Any]


class Verbs:
    """The verbs of one sandbox; a name in an address has hyphens for underscores."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def table(self) -> dict[str, Verb]:
        """Return every verb by its name, with its parameters checked."""
        names = [name for name in vars(Verbs) if not name.startswith("_") and name != "table"]
        return {name.replace("_", "-"): validate_call(getattr(self, name)) for name in names}

    def item(self, entity_type_id: int, item_id: int, fields: Fields | None = None) -> None:
        """Add or replace a CRM item."""
        self._sandbox.add_item(entity_type_id, item_id, **(fields or {}))

    def remove_item(self, entity_type_id: int, item_id: int) -> bool:
        """Remove a CRM item; return whether it was there."""
        return self._sandbox.items.pop((entity_type_id, item_id), None) is not None

    def task(self, task_id: int, fields: Fields | None = None) -> None:
        """Add or replace a task."""
        self._sandbox.add_task(task_id, **(fields or {}))

    def template(
        self,
        template_id: Id,
        name: str,
        auto_execute: int = 0,
        document_type: tuple[str, str, str] = ("crm", "CCrmDocumentDeal", "DEAL"),
    ) -> None:
        """Add a workflow template."""
        self._sandbox.add_template(template_id, name, auto_execute, document_type)

    def user(
        self,
        user_id: Id,
        *,
        active: bool = True,
        department: list[int] | None = None,
        hidden: bool = False,
        administrator: bool = False,
    ) -> None:
        """Add or replace a user."""
        self._sandbox.add_user(user_id, active=active, department=department or [1], hidden=hidden)
        if administrator:
            self._sandbox.add_administrator(user_id)
        else:
            self._sandbox.administrators.discard(str(user_id))

    def status(
        self,
        entity_id: str,
        status_id: str,
        semantics: Literal["S", "F"] | None = None,
        name: str | None = None,
    ) -> None:
        """Add a stage to a directory."""
        self._sandbox.add_status(entity_id, status_id, semantics, name)

    def stage_change(
        self,
        entity_type_id: int,
        item_id: int,
        stage_id: str,
        change_type: int = MOVED,
        category_id: int = 0,
        semantics: Semantics = "P",
        created: AwareDatetime | None = None,
    ) -> None:
        """Add a row to the history of stages."""
        self._sandbox.stage_history.add(
            entity_type_id,
            item_id,
            stage_id,
            created=self._sandbox.instant(created),
            type=change_type,
            category_id=category_id,
            semantics=semantics,
        )

    def iblock(
        self, iblock_id: int, name: str, list_type: ListType = "lists", group_id: int = 0
    ) -> None:
        """Add a list."""
        self._sandbox.lists.add(iblock_id, name, list_type, group_id=group_id)

    def iblock_field(
        self,
        iblock_id: int,
        field_id: str,
        name: str,
        field_type: str = "S",
        *,
        multiple: bool = False,
        choices: dict[str, str] | None = None,
    ) -> None:
        """Add a field to a list."""
        self._sandbox.lists.add_field(
            iblock_id, field_id, name, field_type, multiple=multiple, choices=choices
        )

    def iblock_element(
        self,
        iblock_id: int,
        element_id: int,
        name: str,
        *,
        published: bool = True,
        properties: Fields | None = None,
    ) -> None:
        """Add or replace an element of a list; dates as the portal writes them."""
        if wrong := [one for one in properties or {} if not one.isupper()]:
            raise ValueError(f"no property of a list: {', '.join(wrong)}")
        self._sandbox.lists.add_element(
            iblock_id, element_id, name, published=published, **(properties or {})
        )

    def workflow(
        self,
        document: tuple[str, str, str],
        template_id: Id,
        workflow_id: str | None = None,
        started: AwareDatetime | None = None,
        started_by: Id = "1",
        modified: AwareDatetime | None = None,
    ) -> str:
        """Start a workflow; return its id."""
        return self._sandbox.start_workflow(
            document,
            template_id,
            id=workflow_id,
            started=started,
            started_by=started_by,
            modified=modified,
        )

    def end_workflow(self, workflow_id: str) -> bool:
        """End a workflow as if by itself; return whether it was running."""
        return self._sandbox.end_workflow(workflow_id)

    def bizproc_task(self, workflow_id: str, user_id: Id, name: str) -> str:
        """Let a workflow wait for a user; return the id of the task."""
        if workflow_id not in self._sandbox.workflows:
            raise LookupError(f"no workflow {workflow_id} is running")
        return self._sandbox.add_bizproc_task(workflow_id, user_id, name)

    def fault(
        self,
        method: str,
        fault: str | tuple[int, str, str],
        times: int = 1,
        server: Literal["portal", "oauth"] = "portal",
    ) -> None:
        """Plan a fault by its name, or an error by its status, code and text."""
        plan = self._sandbox.fail_next if server == "portal" else self._sandbox.oauth.fail_next
        plan(method, fault if isinstance(fault, str) else ("error", *fault), times)

    def clear_faults(self) -> None:
        """Forget every planned fault."""
        self._sandbox.faults.clear()
        self._sandbox.oauth.clear_faults()

    def happen(
        self,
        event: str,
        data: Fields | None = None,
        user_id: int | None = 0,
        *,
        ours: bool = False,
        connector: str = "",
        deliver: bool = True,
    ) -> object:
        """Let something happen; return what the application is sent, unless it is delivered."""
        told = self._sandbox.happens(
            event, data, user_id=user_id, ours=ours, connector=connector, deliver=deliver
        )
        return _shown(told, deliver=deliver)

    def install(self, user_id: Id | None = None, *, deliver: bool = True) -> object:
        """Press Install, or Reinstall, as this administrator."""
        application = self._application()
        body = application.reinstall(user_id or application.user_id)
        handlers = application.bindings.online(INSTALLED_EVENT) if body else []
        told = [Outgoing(INSTALLED_EVENT, one.handler, body or "") for one in handlers]
        if deliver:
            send(told)
        return _shown(told, deliver=deliver)

    def uninstall(self, *, clean: bool = False, deliver: bool = True) -> object:
        """Delete the application."""
        application = self._application()
        event = "ONAPPUNINSTALL"
        handlers = application.bindings.online(event)
        body = application.uninstall(clean=clean)
        told = [Outgoing(event, one.handler, body or "") for one in handlers]
        if deliver:
            send(told)
        return _shown(told, deliver=deliver)

    def expire_tokens(self) -> None:
        """End every access token, as if an hour had passed."""
        self._application().tokens.expire_access()

    def forward(self, seconds: float) -> str:
        """Set the portal's clock forward, or back; return what it shows."""
        clock = self._sandbox.clock
        self._sandbox.clock = lambda: clock() + seconds
        return self._sandbox.instant()

    def switches(self, values: Switches) -> object:
        """Set switches; return all of them."""
        return values.put_into(self._sandbox)

    def calls(self, method: str | None = None, after: int = 0) -> object:
        """Return the calls so far, of one method or all, without the first `after` of them."""
        calls = self._sandbox.calls if method is None else self._sandbox.calls_of(method)
        return {"total": len(calls), "calls": [asdict(call) for call in calls[after:]]}

    def oauth_calls(self) -> object:
        """Return the requests of the OAuth server; of their parameters, which are secret, names."""
        return [
            {
                "endpoint": call.endpoint,
                "http_method": call.http_method,
                "at": call.at,
                "in_address": list(call.query),
                "names": list(call.params),
            }
            for call in self._sandbox.oauth.calls
        ]

    def contents(self) -> object:
        """Return what became of the portal: workflows, what people were told, handlers, queue."""
        sandbox = self._sandbox
        application = sandbox.application
        return {
            "workflows": [dict(row) for row in sandbox.workflows.values()],
            "queued": sandbox.queued,
            "killed": sandbox.killed,
            "terminated": sandbox.terminated,
            "titles": sandbox.titles,
            "comments": [asdict(one) for one in sandbox.timeline.comments],
            "log": [asdict(one) for one in sandbox.timeline.log],
            "notifications": [asdict(one) for one in sandbox.notifications.all],
            "handlers": [asdict(one) for one in application.bindings.all] if application else [],
            "offline": [
                {**asdict(row), "at": datetime.fromtimestamp(row.at, UTC).isoformat()}
                for row in (application.offline.rows if application else ())
            ],
            "faults": sandbox.faults.planned,
            "requests": sandbox.http_requests,
        }

    def _application(self) -> Application:
        if self._sandbox.application is None:
            raise LookupError("this portal has no application")
        return self._sandbox.application


def _shown(told: list[Outgoing], *, deliver: bool) -> object:
    return [
        {"event": one.event, "url": one.url, **({} if deliver else {"body": one.body})}
        for one in told
    ]
