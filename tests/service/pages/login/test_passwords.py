"""Passwords are hashed so that they cannot be read back, and checked so that nothing is told."""

import base64
import hashlib
import subprocess
import sys

import pytest

from responder.service.pages.login.passwords import LONGEST, Admins, BadPassword, hashed, matches
from responder.settings.validators import PASSWORD_HASH

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def first() -> str:
    """Hash the password once for all tests: that takes as long as it must for a guesser."""
    return hashed(PASSWORD)


def test_a_hash_is_what_the_settings_take_and_differs_each_time(first: str) -> None:
    second = hashed(PASSWORD)
    assert PASSWORD_HASH.fullmatch(first)
    assert first != second
    assert matches(PASSWORD, first)
    assert not matches(PASSWORD + " ", first)


def test_a_check_costs_what_is_advised(first: str) -> None:
    assert first.startswith("scrypt:15:8:3:")


def test_a_hash_of_an_older_version_still_logs_in() -> None:
    salt = bytes(range(16))
    result = hashlib.scrypt(
        PASSWORD.encode(), salt=salt, n=1 << 15, r=8, p=1, maxmem=1 << 27, dklen=32
    )
    parts = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (salt, result))
    older = "scrypt:15:8:{}:{}".format(*parts)
    assert PASSWORD_HASH.fullmatch(older)
    assert matches(PASSWORD, older)
    assert not matches(PASSWORD + " ", older)


def test_a_letter_is_the_same_however_it_is_composed() -> None:
    assert matches("pa\u0301ssword-pass", hashed("p\u00e1ssword-pass"))


@pytest.mark.parametrize("password", ["", "short", " " * 20, "x" * (LONGEST + 1)])
def test_a_password_that_nobody_should_have_is_refused(password: str) -> None:
    with pytest.raises(BadPassword):
        hashed(password)


@pytest.mark.parametrize("written", ["", "x", "scrypt:15:8:short:short", "md5:1:2:3:4"])
def test_what_is_no_hash_matches_nothing(written: str, first: str) -> None:
    assert not matches(PASSWORD, written)
    assert not matches("x" * (LONGEST + 1), first)


def test_an_admin_needs_their_own_password(first: str) -> None:
    admins = Admins({"anna": first, "boris": hashed("another password")})
    assert admins.has_password("anna", PASSWORD)
    assert not admins.has_password("boris", PASSWORD)
    assert not admins.has_password("nobody", PASSWORD)


def test_what_is_signed_for_an_admin_changes_with_the_password(first: str) -> None:
    before, after = Admins({"anna": first}), Admins({"anna": hashed(PASSWORD)})
    assert before.mark("anna") == before.mark("anna")
    assert before.mark("anna") != after.mark("anna")
    assert before.sign("anna", "x") not in (after.sign("anna", "x"), before.sign("anna", "y"), None)
    assert (before.mark("nobody"), before.sign("nobody", "x")) == (None, None)


def _command(given: bytes) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "responder", "password"],
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.service
def test_the_command_prints_the_hash_alone() -> None:
    done = _command(PASSWORD.encode() + b"\nanother line\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert matches(PASSWORD, done.stdout.decode().removesuffix("\n"))


@pytest.mark.service
@pytest.mark.parametrize("given", [b"", b"\n", b"short\n"])
def test_the_command_refuses_what_nobody_should_have(given: bytes) -> None:
    done = _command(given)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"12 to 1024 characters" in done.stderr
