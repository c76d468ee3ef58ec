"""Lists the methods that the sandbox has, and the scopes they need."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from responder.bitrix24.sandbox.answers import Answer
from responder.bitrix24.sandbox.methods import (
    account,
    bizproc,
    crm,
    events,
    lists,
    offline,
    stage_history,
    tasks,
    timeline,
)
from responder.bitrix24.sandbox.state import State

Run = Callable[[State, Mapping[str, object]], Answer]

USER_SCOPES = ("user", "user_brief", "user_basic")


@dataclass(frozen=True, slots=True)
class Method:
    """A method, and the scopes of which one is enough. No scopes: everyone may call it.

    Some are refused to webhooks, whatever their scopes.
    """

    run: Run
    scopes: tuple[str, ...] = ()
    application_only: bool = False

    def granted(self, scopes: Collection[str]) -> bool:
        """Return whether a caller with these scopes may call the method."""
        return not self.scopes or any(scope in scopes for scope in self.scopes)


def _method_get(state: State, params: Mapping[str, object]) -> Answer:
    name = str(params.get("name", "")).lower()
    method = None if name in state.absent_methods else METHODS.get(name)
    available = method is not None and method.granted(state.actor.scopes)
    return Answer(value={"isExisting": method is not None, "isAvailable": available})


METHODS: dict[str, Method] = {
    "bizproc.workflow.kill": Method(bizproc.kill, ("bizproc",)),
    "bizproc.workflow.terminate": Method(bizproc.terminate, ("bizproc",)),
    "bizproc.workflow.instances": Method(bizproc.instances, ("bizproc",)),
    "bizproc.workflow.instance.list": Method(bizproc.instances, ("bizproc",)),
    "bizproc.workflow.start": Method(bizproc.start, ("bizproc",)),
    "bizproc.workflow.template.list": Method(bizproc.templates, ("bizproc",)),
    "bizproc.task.list": Method(bizproc.waiting_tasks, ("bizproc",)),
    "crm.item.get": Method(crm.item_get, ("crm",)),
    "crm.item.list": Method(crm.item_list, ("crm",)),
    "crm.item.fields": Method(crm.item_fields, ("crm",)),
    "crm.status.list": Method(crm.status_list, ("crm",)),
    "crm.deal.get": Method(crm.deal_get, ("crm",)),
    "crm.stagehistory.list": Method(stage_history.changes, ("crm",)),
    "crm.timeline.comment.add": Method(timeline.add_comment, ("crm",)),
    "crm.timeline.comment.list": Method(timeline.comments, ("crm",)),
    "crm.timeline.logmessage.add": Method(timeline.add_log_message, ("crm",)),
    "crm.timeline.logmessage.list": Method(timeline.log_messages, ("crm",)),
    "im.notify.personal.add": Method(timeline.notify_personally, ("im",)),
    "im.notify.system.add": Method(timeline.notify_by_system, ("im",)),
    "lists.get.iblock.type.id": Method(lists.iblock_type_id, ("lists",)),
    "lists.field.get": Method(lists.fields, ("lists",)),
    "lists.element.get": Method(lists.elements, ("lists",)),
    "tasks.task.get": Method(tasks.get, ("task",)),
    "tasks.task.list": Method(tasks.list_tasks, ("task",)),
    "user.get": Method(account.users, USER_SCOPES),
    "user.current": Method(account.current_user, USER_SCOPES),
    "profile": Method(account.profile),
    "scope": Method(account.scope),
    "method.get": Method(_method_get),
    "app.info": Method(account.app_info),
    "server.time": Method(account.server_time),
    "feature.get": Method(account.feature),
    "events": Method(events.names, application_only=True),
    "event.bind": Method(events.bind, application_only=True),
    "event.unbind": Method(events.unbind, application_only=True),
    "event.get": Method(events.bound, application_only=True),
    "event.test": Method(events.probe, application_only=True),
    "event.offline.get": Method(offline.take, application_only=True),
    "event.offline.list": Method(offline.rows, application_only=True),
    "event.offline.clear": Method(offline.clear, application_only=True),
    "event.offline.error": Method(offline.mark_errors, application_only=True),
}
