"""An address says where a portal is called, what proves who calls, and what is never shown."""

from responder.bitrix24.client.addresses import ApplicationAddress, WebhookAddress

WEBHOOK = WebhookAddress("https://p.bitrix24.com/rest/1/hook-secret-0001")
APPLICATION = ApplicationAddress("p.bitrix24.com", "access-token-0001")


def test_a_webhooks_address_is_its_proof() -> None:
    assert WEBHOOK.root == "https://p.bitrix24.com/rest/1/hook-secret-0001/"
    assert WEBHOOK.signed({"id": 1}) == {"id": 1}


def test_an_applications_token_is_in_the_body_and_not_in_the_address() -> None:
    assert APPLICATION.root == "https://p.bitrix24.com/rest/"
    assert APPLICATION.signed({"id": 1}) == {"id": 1, "auth": "access-token-0001"}
    assert ApplicationAddress("127.0.0.1:80", "t").root == "http://127.0.0.1:80/rest/"


def test_neither_shows_its_secret() -> None:
    assert "hook-secret" not in repr(WEBHOOK)
    assert "access-token" not in repr(APPLICATION)
    assert "hook-secret-0001" in WEBHOOK.secrets
    assert APPLICATION.secrets == ("access-token-0001",)
    assert ApplicationAddress("p.bitrix24.com", "").secrets == ()
