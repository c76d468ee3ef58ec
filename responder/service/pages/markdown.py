"""Turns a page of the documentation, written in Markdown, into HTML for the pages.

Imported only where such a page is shown, because nothing else needs the library that parses it.
HTML in a text is shown as text. Of a picture, and of a link that leads to no page of ours and to no
other site, only the words stay.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from responder.adapters.package_texts import DEPLOY, DOCS, Texts
from responder.service.pages.rendering import visible

_FOLDERS: Mapping[str, Texts] = {".": DOCS, "../deploy": DEPLOY}  # as a page of `docs` sees them
_CELLS: Mapping[str, dict[str, str | int | float]] = {  # without `style`, which the pages forbid
    "th_open": {"scope": "col"},
    "td_open": {},
}
_NO_PART_OF_A_NAME = re.compile(r"[^\w -]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level, its words, and its anchor, which follows the `#` of an address."""

    level: int
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text as HTML: `title` is its first heading, `headings` are all others."""

    title: Heading
    headings: Sequence[Heading]
    body: Markup


def rendered(text: str) -> Document:
    """Return a text as HTML. Its first line is its title, `# …`."""
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    tokens = parser.parse(visible(text))
    title, *headings = _anchored(tokens)
    for token in tokens:
        token.attrs = dict(_CELLS.get(token.type, token.attrs))
        if token.children is not None:
            token.children = list(_with_addresses(token.children))
    after_title = tokens[3:]  # a heading opens, has words, and closes
    body = parser.renderer.render(after_title, parser.options, {})
    return Document(title, headings, Markup(body))  # noqa: S704 - the parser escapes the text


def _anchored(tokens: Sequence[Token]) -> Iterator[Heading]:
    """Yield the headings, after giving each an anchor, the same as GitHub does."""
    seen = Counter[str]()
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        words = _words(inline)
        anchor = _NO_PART_OF_A_NAME.sub("", words).lower().replace(" ", "-")
        seen[anchor] += 1
        if seen[anchor] > 1:
            anchor = f"{anchor}-{seen[anchor] - 1}"
        opening.attrSet("id", anchor)
        yield Heading(int(opening.tag.removeprefix("h")), words, anchor)


def _words(inline: Token) -> str:
    return "".join(token.content for token in inline.children or ())


def _with_addresses(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the tokens of a paragraph with links as the pages have them, and no pictures."""
    leads_somewhere = True
    for token in tokens:
        if token.type == "link_open":
            attributes = _link(str(token.attrGet("href")))
            leads_somewhere = attributes is not None
            token.attrs.update(attributes or {})
        if token.type == "image":
            yield Token("text", "", 0, content=_words(token))
        elif leads_somewhere or token.type not in ("link_open", "link_close"):
            yield token


def _link(target: str) -> Mapping[str, str] | None:
    """Return the attributes of a link, or None where the pages have nothing to show there."""
    parts = urlsplit(target)
    if parts.scheme in ("http", "https"):
        return {"href": target, "rel": "external noopener noreferrer"}
    if parts.scheme or parts.netloc:
        return None
    if not parts.path:
        return {"href": target}
    file = PurePosixPath(parts.path)
    texts, name = _FOLDERS.get(str(file.parent)), file.stem.lower()
    if texts is None or name not in texts.names():
        return None
    return {"href": f"/{texts.folder}/{name}" + (f"#{parts.fragment}" if parts.fragment else "")}


class _Renderer(RendererHTML):
    """Writes tokens as HTML. The library finds each method by the type of its token."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return a block of code, which can be scrolled by keyboard."""
        del options, env
        return f'<pre tabindex="0"><code>{escapeHtml(tokens[idx].content)}</code></pre>\n'

    code_block = fence

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Return the beginning of a table in a frame, in which a wide one scrolls by itself."""
        del options, env
        head = takewhile(lambda token: token.type != "thead_close", tokens[idx:])
        columns = ", ".join(_words(token) for token in head if token.type == "inline")
        label = escapeHtml(f"Table: {columns}")
        return f'<div class="scroll" tabindex="0" role="group" aria-label="{label}"><table>\n'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Return the end of a table and of its frame."""
        del tokens, idx, options, env
        return "</table></div>\n"
