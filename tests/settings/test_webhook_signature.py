"""Signing: the specification's own example, several keys, and secrets that are none."""

import base64

import pytest

from responder.settings import webhook_signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(64))).decode()
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
MESSAGE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), f" {SECRET}\n"])
def test_it_signs_as_the_published_example(secret: str) -> None:
    assert webhook_signature.signature(webhook_signature.keys_of(secret), *MESSAGE) == SIGNED


@pytest.mark.parametrize("between", [",", " ", ", "])
def test_while_a_secret_is_changed_both_sign(between: str) -> None:
    keys = webhook_signature.keys_of(f"{OTHER}{between}{SECRET}")
    first, second = webhook_signature.signature(keys, *MESSAGE).split(" ")
    assert second == SIGNED
    assert first == webhook_signature.signature(webhook_signature.keys_of(OTHER), *MESSAGE)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("whsec_not base64", "must be whsec_ and then base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "must be whsec_ and then base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2L_-aSw", "must be whsec_ and then base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 random bytes"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 random bytes"),
        (f"{SECRET},whsec_", "24 to 64 random bytes"),
    ],
)
def test_what_is_no_secret_is_refused_without_showing_it(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        webhook_signature.keys_of(secret)
    assert "MfKQ9" not in str(raised.value)
