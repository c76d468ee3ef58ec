"""Lists the methods that the sandbox has, and the scopes they need."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from responder.bitrix24.sandbox.answers import Answer
from responder.bitrix24.sandbox.methods import (
    account,
    bizproc,
    crm,
    event_methods,
    list_methods,
    offline_methods,
    stage_history_methods,
    tasks,
    timeline_methods,
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
    "crm.category.list": Method(crm.category_list, ("crm",)),
    "crm.status.list": Method(crm.status_list, ("crm",)),
    "crm.deal.get": Method(crm.deal_get, ("crm",)),
    "crm.stagehistory.list": Method(stage_history_methods.changes, ("crm",)),
    "crm.timeline.comment.add": Method(timeline_methods.add_comment, ("crm",)),
    "crm.timeline.comment.list": Method(timeline_methods.comments, ("crm",)),
    "crm.timeline.logmessage.add": Method(timeline_methods.add_log_message, ("crm",)),
    "crm.timeline.logmessage.list": Method(timeline_methods.log_messages, ("crm",)),
    "im.notify.personal.add": Method(timeline_methods.notify_personally, ("im",)),
    "im.notify.system.add": Method(timeline_methods.notify_by_system, ("im",)),
    "lists.get.iblock.type.id": Method(list_methods.iblock_type_id, ("lists",)),
    "lists.field.get": Method(list_methods.fields, ("lists",)),
    "lists.element.get": Method(list_methods.elements, ("lists",)),
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
    "events": Method(event_methods.names, application_only=True),
    "event.bind": Method(event_methods.bind, application_only=True),
    "event.unbind": Method(event_methods.unbind, application_only=True),
    "event.get": Method(event_methods.bound, application_only=True),
    "event.test": Method(event_methods.probe, application_only=True),
    "event.offline.get": Method(offline_methods.take, application_only=True),
    "event.offline.list": Method(offline_methods.rows, application_only=True),
    "event.offline.clear": Method(offline_methods.clear, application_only=True),
    "event.offline.error": Method(offline_methods.mark_errors, application_only=True),
}
