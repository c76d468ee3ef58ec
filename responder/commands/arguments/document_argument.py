"""Parses options that name a document."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from responder.model import Document


class DocumentName(click.ParamType["Document"]):
    """The type of options that name a document."""

    name = "document"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Document":
        """Return the document, or end the program with how one is written."""
        from responder.bitrix24.document_names import document_named
        from responder.model import Document

        if isinstance(value, Document):
            return value
        document = document_named(str(value))
        if document is None:
            option = "" if param is None else f"{param.opts[0]}: "
            wrong = f"{option}{value!r} names no document; write it as deal:759 or DEAL_759"
            raise click.UsageError(wrong, ctx)
        return document


DOCUMENT = DocumentName()
