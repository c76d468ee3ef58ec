"""Names the first commands, whose answers show what there is to look at in a portal."""

from responder.bitrix24.client.answers import Command
from responder.bitrix24.fetch.last_changes import newest_items
from responder.bitrix24.fetch.people import open_tasks
from responder.bitrix24.fetch.stages import stages_of
from responder.bitrix24.fetch.templates import template_list
from responder.bitrix24.lists.workflow_row import instances

DEAL = 2

SAMPLE: dict[str, Command] = {
    "profile": Command("profile", {}),
    "scope": Command("scope", {}),
    "time": Command("server.time", {}),
    "workflows": instances({}),
    "tasks": open_tasks(),
    "templates": template_list("ID", "NAME"),
    "deals": newest_items(DEAL),
    "users": Command("user.get", {}),
    "stages": stages_of("DEAL_STAGE"),
}

AGAIN = ("workflows", "tasks", "deals")
"""What may end or go while others are asked: asked once more at the end."""
