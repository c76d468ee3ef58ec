"""The OAuth server is one of a fixed list, whatever a message names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.oauth import oauth_hosts
from responder.bitrix24.oauth.oauth_hosts import EAST, WORLD

PORTAL, HERE = "example.bitrix24.com", "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("endpoint", "domain", "host"),
    [
        ("https://oauth.bitrix.info/rest/", PORTAL, WORLD),
        ("https://oauth.bitrix24.tech/rest/", PORTAL, EAST),
        ("oauth.bitrix24.tech", PORTAL, EAST),
        ("https://OAUTH.bitrix.info:443/rest/", PORTAL, WORLD),
        (None, PORTAL, WORLD),
        ("", "example.bitrix24.de", WORLD),
        (None, "example.bitrix24.ru", EAST),
        (None, "example.bitrix24.kz", EAST),
        (None, "portal.example:8443", WORLD),
        ("http://127.0.0.1:9000/rest/", HERE, "127.0.0.1:9000"),
        ("http://localhost:9000/oauth/rest/", HERE, "localhost:9000"),
        ("https://oauth.bitrix.info/rest/", HERE, WORLD),
        (None, HERE, None),
        ("https://oauth.attacker.example/rest/", PORTAL, None),
        ("https://oauth.bitrix.info.attacker.example/", PORTAL, None),
        ("https://oauth.bitrix.info@attacker.example/", PORTAL, None),
        ("https://oauth.bitrix.info:8443/", PORTAL, None),
        ("http://127.0.0.1:9000/rest/", PORTAL, None),
        ("http://localhost/", PORTAL, None),
        ("https://attacker.example/", HERE, None),
        ("https://[::1", HERE, None),
        ("http://[::1]:9000/rest/", HERE, "[::1]:9000"),
        ("//[fe80::1%[x]/", PORTAL, None),
        ("//[fe80::1%[x]/", HERE, None),
        ("//[v1.x]/", HERE, None),
        ("//a[b/", HERE, None),
        ("//oauth.bitrix.info\u2044x/", PORTAL, None),
        ("//\uff4f\uff41uth.bitrix.info/", PORTAL, None),
        ("//oauth.bitrix.info:99999/", PORTAL, None),
    ],
)
def test_what_is_named_only_chooses_from_the_list(
    endpoint: str | None, domain: str, host: str | None
) -> None:
    assert oauth_hosts.chosen(endpoint, domain) == host


@given(endpoint=st.text() | st.text("[]:/%@.fe80x", max_size=20).map("//{}".format))
def test_no_text_is_an_error_of_ours(endpoint: str) -> None:
    for domain in (PORTAL, HERE):
        assert oauth_hosts.chosen(endpoint, domain) in (None, WORLD, EAST) or domain == HERE
        oauth_hosts.is_allowed(endpoint, domain)


@pytest.mark.parametrize(
    ("host", "root"),
    [(WORLD, "https://oauth.bitrix.info"), ("127.0.0.1:9000", "http://127.0.0.1:9000")],
)
def test_plain_http_is_for_this_machine(host: str, root: str) -> None:
    assert oauth_hosts.root(host) == root
