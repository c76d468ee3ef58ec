"""Tokens (BITRIX24-APP §2): their mark, their lives, and chains that must not branch."""

from responder.bitrix24.sandbox import Sandbox


def expiry(token: str) -> int:
    return int.from_bytes(bytes.fromhex(token[:8]), "little")


def test_a_token_begins_with_its_expiry_and_says_that_it_is_a_tests() -> None:
    """§2: the first 8 hex digits are the expiry, little-endian; refresh tokens hold 30 days."""
    application = Sandbox(clock=lambda: 1_780_315_782.5).add_application()
    grant = application.tokens.issue("1")
    assert expiry(grant.access_token) == grant.expires == 1_780_319_382
    assert expiry(grant.refresh_token) == 1_780_315_782 + 30 * 24 * 3600
    assert "SandboxAccessToken" in grant.access_token
    assert "SandboxRefreshToken" in grant.refresh_token


def test_keys_look_like_the_portals_and_are_new_for_each_application() -> None:
    """§1: `local.<14 hex>.<8 digits>`; adding it again gives new keys and another token."""
    sandbox = Sandbox()
    first, second = sandbox.add_application(), sandbox.add_application()
    head, middle, tail = first.client_id.split(".")
    assert (head, len(bytes.fromhex(middle)), tail.isdecimal(), len(tail)) == ("local", 7, True, 8)
    assert len(bytes.fromhex(first.application_token)) == len(bytes.fromhex(first.member_id)) == 16
    assert first.member_id == second.member_id != Sandbox(secret="other").member_id
    assert first.client_id != second.client_id
    assert first.client_secret != second.client_secret
    assert first.application_token != second.application_token


def test_another_secret_makes_another_application_token() -> None:
    """§1: `application_token` is made of member, application and secret."""
    application = Sandbox().add_application()
    before = application.application_token
    application.client_secret = "SandboxClientSecretTheSecond"
    assert application.application_token != before


def test_chains_of_one_user_live_side_by_side() -> None:
    """§2, rotation: many chains per user; the refresh ends its own access token alone."""
    tokens = Sandbox().add_application().tokens
    one, other = tokens.issue("1"), tokens.issue("1")
    assert tokens.refresh(one.refresh_token)
    ended, going_on = tokens.access(one.access_token), tokens.access(other.access_token)
    assert ended is not None
    assert going_on is not None
    assert tokens.has_expired(ended)
    assert not tokens.has_expired(going_on)
