"""The OAuth server (BITRIX24-APP §1, §2): refreshing, codes, what it refuses, what gets lost."""

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from responder.bitrix24.sandbox import Application, OAuthServer, Sandbox, SandboxServer
from tests.bitrix24.sandbox.application.client import (
    ApplicationCaller,
    OAuthCaller,
    answer,
    refused,
)
from tests.bitrix24.sandbox.caller import mapping


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_a_refresh_answers_the_next_pair(
    oauth: OAuthCaller, app: ApplicationCaller, by: str
) -> None:
    """§2: GET and form POST; `domain` is the OAuth host, `scope` just "app"."""
    told = answer(oauth.refresh(app.tokens["refresh"], by=by))
    assert told["refresh_token"] != app.tokens["refresh"]
    assert (told["expires_in"], told["scope"], told["status"]) == (3600, "app", "L")
    assert told["user_id"] == 1
    assert told["domain"] == urlsplit(str(oauth.client.base_url)).netloc
    assert told["client_endpoint"] == f"{app.client.base_url}"
    app.tokens["access"] = str(told["access_token"])
    assert mapping(app.result("profile"))["ID"] == "1"


def test_a_refresh_token_works_once(oauth: OAuthCaller, app: ApplicationCaller) -> None:
    """§2, rotation: valid until first use, then `invalid_grant`; its access token dies at once."""
    answer(oauth.refresh(app.tokens["refresh"]))
    assert app.refusal("profile")[:2] == (401, "expired_token")
    assert refused(oauth.refresh(app.tokens["refresh"])) == (400, "invalid_grant")


def test_a_refresh_token_ends_after_thirty_days(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§2: 30 days by the mark, and settable."""
    later = sandbox.clock() + 30 * 24 * 3600 + 1
    sandbox.clock = lambda: later
    assert refused(oauth.refresh(app.tokens["refresh"])) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "local.0.1"}, 200, "wrong_client"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"refresh_token": ""}, 400, "invalid_grant"),
    ],
)
def test_a_wrong_request_uses_nothing_up(
    oauth: OAuthCaller, app: ApplicationCaller, changed: dict[str, str], status: int, code: str
) -> None:
    """§2, token endpoint errors: `wrong_client` has status 200, and no access token."""
    params = {"grant_type": "refresh_token", "refresh_token": app.tokens["refresh"], **changed}
    response = oauth.ask(**params)
    assert refused(response) == (status, code)
    assert "access_token" not in response.json()
    answer(oauth.refresh(app.tokens["refresh"]))


def test_a_deleted_application_gets_no_tokens(
    oauth: OAuthCaller, app: ApplicationCaller, application: Application
) -> None:
    """§2, token endpoint errors: `invalid_client`, not installed."""
    application.uninstall()
    assert refused(oauth.refresh(app.tokens["refresh"])) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("payment", 401, "PAYMENT_REQUIRED"),
        ("not_installed", 401, "NOT_INSTALLED"),
        ("500", 500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_a_planned_refusal_uses_nothing_up(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox, fault: str, status: int, code: str
) -> None:
    """§2, token endpoint errors."""
    sandbox.oauth.fail_next("token", fault)
    assert refused(oauth.refresh(app.tokens["refresh"])) == (status, code)
    answer(oauth.refresh(app.tokens["refresh"]))


def test_a_lost_answer_loses_the_chain(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§2, rotation: a lost answer is a lost chain."""
    sandbox.oauth.fail_next("token", "act_then_drop")
    with pytest.raises(httpx.RemoteProtocolError):
        oauth.refresh(app.tokens["refresh"])
    assert refused(oauth.refresh(app.tokens["refresh"])) == (400, "invalid_grant")


def test_a_line_that_breaks_before_uses_nothing_up(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§2, rotation: not every lost answer was a refresh, and nobody can tell."""
    sandbox.oauth.fail_next("token", "drop_before")
    with pytest.raises(httpx.RemoteProtocolError):
        oauth.refresh(app.tokens["refresh"])
    answer(oauth.refresh(app.tokens["refresh"]))


def test_the_oauth_server_hangs_and_talks_html(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§2; BITRIX24 §9.5: an answer that never comes, or is no JSON."""
    sandbox.oauth.fail_next("token", "hang")
    with pytest.raises(httpx.ReadTimeout):
        oauth.client.post("/oauth/token/", timeout=0.1)
    sandbox.oauth.fail_next("token", "not_json")
    assert oauth.refresh(app.tokens["refresh"]).content.startswith(b"<br")
    assert refused(oauth.refresh(app.tokens["refresh"])) == (400, "invalid_grant")


def test_an_answer_may_say_nothing(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§2, token endpoint errors: no access_token = failure whatever the status."""
    sandbox.oauth.fail_next("token", "missing_part")
    assert answer(oauth.refresh(app.tokens["refresh"])) == {}


def test_a_misspelt_fault_of_the_oauth_server_is_an_error() -> None:
    with pytest.raises(ValueError, match="no fault 'scope'"):
        Sandbox().oauth.fail_next("token", "scope")


def test_app_info_tells_whose_a_token_is(
    oauth: OAuthCaller, app: ApplicationCaller, application: Application
) -> None:
    """§1, verify: client_id, member_id and domain of the token, from the OAuth server."""
    asked = oauth.client.get("/rest/app.info", params={"auth": app.tokens["access"]})
    told = mapping(answer(asked)["result"])
    install = mapping(told["install"])
    assert (told["client_id"], told["user_id"]) == (application.client_id, 1)
    assert install["member_id"] == application.member_id
    assert install["client_endpoint"] == f"http://{install['domain']}/rest/"
    assert install["installed"] is True
    application.tokens.expire_access()
    for token, code in ((app.tokens["access"], "expired_token"), ("forged", "invalid_token")):
        asked = oauth.client.get("/rest/app.info", params={"auth": token})
        assert refused(asked) == (401, code)


def test_one_port_serves_portal_and_oauth(
    server: SandboxServer, app: ApplicationCaller, application: Application
) -> None:
    """§2: where no OAuth server has a port of its own, the portal's has it under `/oauth/`."""
    assert application.server_endpoint == f"{server.address}/oauth/rest/"
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        told = answer(OAuthCaller(client, application).refresh(app.tokens["refresh"]))
        asked = client.get("/oauth/rest/app.info", params={"auth": str(told["access_token"])})
        assert mapping(answer(asked)["result"])["client_id"] == application.client_id
        assert client.get("/oauth/other").status_code == 404


def test_a_browser_comes_back_with_a_code_that_lives_half_a_minute(
    oauth: OAuthCaller, sandbox: Sandbox, application: Application
) -> None:
    """§1, lost it: `code, state, domain, member_id, scope, server_domain`; a code lives 30 s."""
    now = sandbox.clock()
    asked = {"client_id": application.client_id, "state": "s 1"}
    codes = []
    for _ in range(2):
        sent = oauth.client.get("/oauth/authorize/", params=asked)
        url = urlsplit(sent.headers["location"])
        back = dict(parse_qsl(url.query))
        codes.append(back["code"])
        assert sent.status_code == 302
        assert sent.headers["location"].startswith(f"{application.handler_url}?")
        assert (back["state"], back["member_id"]) == ("s 1", application.member_id)
        assert (back["domain"], back["scope"]) == (
            application.domain,
            "bizproc,crm,user_brief,task",
        )
        assert back["server_domain"] == urlsplit(str(oauth.client.base_url)).netloc
    told = answer(oauth.ask(grant_type="authorization_code", code=codes[0]))
    assert "expires" not in told
    assert "user_id" not in told
    used = oauth.ask(grant_type="authorization_code", code=codes[0])
    assert refused(used) == (400, "invalid_grant")
    sandbox.clock = lambda: now + 31
    late = oauth.ask(grant_type="authorization_code", code=codes[1])
    assert refused(late) == (400, "invalid_grant")


def test_an_authorization_that_fails_never_redirects(
    oauth: OAuthCaller, application: Application
) -> None:
    """§1, lost it: a failed authorization never redirects."""
    unknown = oauth.client.get("/oauth/authorize/", params={"client_id": "local.0.1"})
    application.authorizing_user = None
    asked = {"client_id": application.client_id}
    forbidden = oauth.client.get("/oauth/authorize/", params=asked)
    assert [unknown.status_code, forbidden.status_code] == [200, 200]


def test_requests_are_recorded_and_not_printed(
    oauth: OAuthCaller, app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§2: the secret goes to the OAuth server alone, and a test can tell where it stood."""
    oauth.refresh(app.tokens["refresh"])
    oauth.refresh("used", by="GET")
    posted, got = sandbox.oauth.calls_of("token")
    assert posted.params["client_secret"] == application.client_secret
    assert (dict(posted.query), posted.http_method) == ({}, "POST")
    assert got.query["client_secret"] == application.client_secret
    assert application.client_secret not in repr(sandbox.oauth.calls)


def test_an_oauth_server_comes_back_where_it_was(sandbox: Sandbox) -> None:
    """§2: the OAuth server is another host, which may be away while the portal is not."""
    application = sandbox.add_application()
    with OAuthServer(sandbox) as serving:
        before = serving.token_url
        serving.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.post(before, trust_env=False)
        serving.start()
        assert refused(httpx.post(before, trust_env=False)) == (400, "invalid_request")
        assert application.server_endpoint == f"{serving.url}/rest/"
