"""The settings refuse every address that the database could not read, without asking it."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from responder.settings import validators
from responder.store.database import engines


@given(rest=st.text("ab15:@/?#[]%.,+-_=& é٣\0\n", max_size=14))
def test_an_address_that_the_settings_take_is_one_that_the_engines_read(rest: str) -> None:
    with suppress(ValueError):
        taken = validators.database_url(SecretStr(f"postgresql+psycopg://{rest}"))
        engines.parse(taken.get_secret_value())  # it raises no ValueError


@given(name=st.text("a5_", max_size=3), port=st.integers(0, 65535))
def test_an_address_with_or_without_a_host_is_taken(name: str, port: int) -> None:
    for url in (f"{name}:{port}/x", f"{name}/x", f"/x?host=/{name}", f"u:p%23@[::1]:{port}/x"):
        given = f"postgresql+psycopg://{url}"
        assert validators.database_url(SecretStr(given)).get_secret_value() == given
