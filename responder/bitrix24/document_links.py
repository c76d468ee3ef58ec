"""Builds links to documents: on the host of the settings, and never with the secret path."""

from responder.bitrix24.documents import entity_type_id
from responder.model import Document
from responder.settings.settings import Settings

_OWN_PAGES = ("deal", "lead", "contact", "company")


def portal_page(settings: Settings, portal: str, document: Document) -> str | None:
    """Return the address of a document's page; None where the kind or the portal has none."""
    known = settings.portals.get(portal)
    path = _path(document)
    if known is None or path is None:
        return None
    return f"{known.origin}{path}"


def _path(document: Document) -> str | None:
    if not (document.item_id.isascii() and document.item_id.isdigit()):
        return None
    if document.kind in _OWN_PAGES:
        return f"/crm/{document.kind}/details/{document.item_id}/"
    if document.kind == "task":
        return f"/company/personal/user/0/tasks/task/view/{document.item_id}/"
    number = entity_type_id(document.kind)
    return None if number is None else f"/crm/type/{number}/details/{document.item_id}/"
