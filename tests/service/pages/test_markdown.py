"""A text in Markdown becomes HTML that does nothing but show it."""

import pytest

from responder.service.pages.markdown import Heading, rendered

HEAD = "# A title\n\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("a <b onclick=x>c</b>", "<p>a &lt;b onclick=x&gt;c&lt;/b&gt;</p>"),
        ("`<i>`", "<p><code>&lt;i&gt;</code></p>"),
        ('```x" y\n<i>\n```', '<pre tabindex="0"><code>&lt;i&gt;\n</code></pre>'),
        ("    <i>", '<pre tabindex="0"><code>&lt;i&gt;\n</code></pre>'),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("[a](ftp://x) [b](//x) [c](../../x.py) [d](no.md)", "<p>a b c d</p>"),
        ("![a *b* <i>](https://x.example/a.png)", "<p>a b &lt;i&gt;</p>"),
        ("exe\u202efdp", "<p>exe[U+202E]fdp</p>"),
    ],
)
def test_nothing_in_a_text_is_markup_and_no_link_leads_astray(text: str, shown: str) -> None:
    assert rendered(HEAD + text).body.strip() == shown


@pytest.mark.parametrize(
    ("link", "attributes"),
    [
        ("rules.md", 'href="/docs/rules"'),
        ("rules.md#guards", 'href="/docs/rules#guards"'),
        ("#guards", 'href="#guards"'),
        ("../deploy/Caddyfile", 'href="/deploy/caddyfile"'),
        (
            "https://x.example/?a=b&c",
            'href="https://x.example/?a=b&amp;c" rel="external noopener noreferrer"',
        ),
    ],
)
def test_links_are_those_of_the_pages(link: str, attributes: str) -> None:
    assert rendered(f"{HEAD}[*a* `b`]({link})").body == (
        f"<p><a {attributes}><em>a</em> <code>b</code></a></p>\n"
    )


def test_headings_have_the_anchors_of_a_forge() -> None:
    shown = rendered(f"{HEAD}## What `POST /x` isn't\n### Да, нет\n## Да нет\n")
    assert shown.title == Heading(1, "A title", "a-title")
    assert shown.headings == [
        Heading(2, "What POST /x isn't", "what-post-x-isnt"),
        Heading(3, "Да, нет", "да-нет"),
        Heading(2, "Да нет", "да-нет-1"),
    ]
    assert '<h2 id="what-post-x-isnt">What <code>POST /x</code> isn\'t</h2>' in shown.body


def test_a_table_scrolls_in_a_frame_that_has_a_name_and_no_style() -> None:
    body = rendered(f"{HEAD}| `a` | b |\n|---:|---|\n| <i> | d |\n").body
    assert body.startswith(
        '<div class="scroll" tabindex="0" role="group" aria-label="Table: a, b">'
    )
    assert '<th scope="col"><code>a</code></th>' in body
    assert "<td>&lt;i&gt;</td>" in body
