"""Shows the documentation, and the files to deploy the program with."""

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from responder.adapters.package_texts import DEPLOY, DOCS, Texts, UnknownTextError
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site

if TYPE_CHECKING:
    from responder.service.pages.markdown import Document


def show_index(site: Site, visit: Visit) -> Response:
    """Return the page that lists the documentation and the files to deploy."""
    return site.page("docs.html", visit, index=DOCS.index(), files=DEPLOY.index())


def show_page(site: Site, visit: Visit) -> Response:
    """Return a page of the documentation."""
    name = visit.path["name"]
    try:
        return site.page("docs_page.html", visit, name=name, document=_document(name))
    except UnknownTextError:
        return _unknown(site, visit, DOCS)


def show_file(site: Site, visit: Visit) -> Response:
    """Return the page of a file to deploy."""
    name = visit.path["name"]
    try:
        return site.page("deploy.html", visit, name=name, text=DEPLOY.text(name))
    except UnknownTextError:
        return _unknown(site, visit, DEPLOY)


@cache  # the texts do not change while the program runs
def _document(name: str) -> "Document":
    from responder.service.pages.markdown import rendered

    return rendered(DOCS.text(name))


def _unknown(site: Site, visit: Visit, texts: Texts) -> Response:
    why = f"There is no {texts.kind} of this name."
    return site.message(visit, HTTPStatus.NOT_FOUND, "There is no such page", why)
