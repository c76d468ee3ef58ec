"""Settings: what is read from where, and that an error never shows a value."""

import traceback
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from responder.model import Mode
from responder.settings.settings import PortalSettings, Settings, SettingsError, load, secrets

URL = "https://portal.example/rest/1/hook-secret-0001/"
TOKEN = "token-0123456789abcdef"
KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HASH = f"scrypt:15:8:{'s' * 22}:{'h' * 43}"
MINIMAL = {
    "RESPONDER_PORTALS__MAIN__URL": URL,
    "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
}
CANARY = "canary-7f3d"


def loaded(**variables: str) -> Settings:
    named = {f"RESPONDER_{name}": value for name, value in variables.items()}
    return load(MINIMAL | named, env_file=None)


def url_of(portal: PortalSettings) -> str | None:
    return None if portal.url is None else portal.url.get_secret_value()


def problems_of(environ: dict[str, str], *, env_file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file=env_file)
    return caught.value.problems


def test_two_variables_are_enough_and_the_rest_has_its_documented_default() -> None:
    settings = load(MINIMAL, env_file=None)
    portal = settings.portals["main"]
    assert url_of(portal) == URL
    assert [token.get_secret_value() for token in portal.application_tokens] == [TOKEN]
    assert (portal.member_id, portal.url_key) == (None, None)
    assert (portal.requests_per_second, portal.burst) == (2, 50)
    assert settings.rules == Path("rules.yaml")
    assert settings.database_url.get_secret_value() == "sqlite:///responder.db"
    assert settings.mode is Mode.OBSERVE
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.sweep_every == timedelta(minutes=15)
    assert (settings.log_level, settings.keep_days) == ("info", 400)
    assert (settings.timezone, settings.zone) == ("UTC", UTC)
    assert (settings.admins, settings.admin_port) == ({}, None)
    assert (settings.notify_url, settings.notify_secret) == (None, None)


def test_every_variable_can_be_set() -> None:
    settings = loaded(
        PORTALS__MAIN__MEMBER_ID="0123abc",
        PORTALS__MAIN__URL_KEY="a-secret-segment",
        PORTALS__MAIN__REQUESTS_PER_SECOND="5",
        PORTALS__MAIN__BURST="250",
        RULES="/etc/rules.yaml",
        DATABASE_URL="postgresql+psycopg://me:pass@db.example/responder",
        MODE="enforce",
        HOST="0.0.0.0",
        PORT="9000",
        SWEEP_EVERY="0",
        LOG_LEVEL="DEBUG",
        KEEP_DAYS="30",
        TIMEZONE="Europe/Moscow",
        ADMINS__IVAN=HASH,
        ADMIN_PORT="9001",
        NOTIFY_URL="https://hooks.example/x",
        NOTIFY_SECRET=f"whsec_{KEY}",
    )
    portal = settings.portals["main"]
    assert portal.member_id == "0123abc"
    assert portal.url_key == SecretStr("a-secret-segment")
    assert (portal.requests_per_second, portal.burst) == (5, 250)
    assert settings.mode is Mode.ENFORCE
    assert settings.sweep_every == timedelta(0)
    assert (settings.port, settings.admin_port) == (9000, 9001)
    assert (settings.log_level, settings.keep_days) == ("debug", 30)
    assert settings.zone == ZoneInfo("Europe/Moscow")
    assert settings.admins == {"ivan": SecretStr(HASH)}


@pytest.mark.parametrize(
    "written",
    [f"{TOKEN},second-token-0123456", f" {TOKEN} , second-token-0123456,",
     f'["{TOKEN}", "second-token-0123456"]'],
)  # fmt: skip
def test_tokens_are_a_comma_separated_or_a_json_list(written: str) -> None:
    portal = loaded(PORTALS__MAIN__APPLICATION_TOKENS=written).portals["main"]
    tokens = [token.get_secret_value() for token in portal.application_tokens]
    assert tokens == [TOKEN, "second-token-0123456"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("30s", timedelta(seconds=30)), ("15m", timedelta(minutes=15)), ("2h", timedelta(hours=2)),
     ("1d", timedelta(days=1)), ("0", timedelta(0))],
)  # fmt: skip
def test_a_duration_is_a_number_with_a_unit(written: str, meant: timedelta) -> None:
    assert loaded(SWEEP_EVERY=written).sweep_every == meant


def test_the_final_slash_of_a_portals_url_may_be_left_out() -> None:
    portal = loaded(PORTALS__MAIN__URL=URL.rstrip("/")).portals["main"]
    assert url_of(portal) == URL


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:80"])
def test_plain_http_is_for_loopback(host: str) -> None:
    url = f"http://{host}/rest/1/hook-secret-0001/"
    assert url_of(loaded(PORTALS__MAIN__URL=url).portals["main"]) == url


BROKEN = [
    ("PORTALS__MAIN__URL", f"http://portal.example/rest/1/{CANARY}/", "must begin with https://"),
    ("PORTALS__MAIN__URL", f"ftp://portal.example/rest/1/{CANARY}/", "must begin with https://"),
    ("PORTALS__MAIN__URL", f"https://portal.example/{CANARY}/", "must look like"),
    ("PORTALS__MAIN__URL", f"https://portal.example/rest/1/{CANARY}/?a=b", "must look like"),
    ("PORTALS__MAIN__URL", f"https://u:{CANARY}@portal.example/rest/1/x/", "must look like"),
    ("PORTALS__MAIN__URL", f"https://[{CANARY}", "is not a URL"),
    ("PORTALS__MAIN__URL", CANARY, "is not a URL"),
    ("PORTALS__MAIN__APPLICATION_TOKENS", CANARY, "shorter than 16"),
    ("PORTALS__MAIN__APPLICATION_TOKENS", f"{TOKEN},{CANARY}", "shorter than 16"),
    ("PORTALS__MAIN__APPLICATION_TOKENS", f'["{CANARY}', "is not a JSON list"),
    ("PORTALS__MAIN__APPLICATION_TOKENS", f'[{{"{CANARY}": 1}}]', "is not a JSON list"),
    ("PORTALS__MAIN__APPLICATION_TOKENS", ",", "is missing"),
    ("PORTALS__MAIN__URL_KEY", "canary", "shorter than 8"),
    ("PORTALS__MAIN__URL_KEY", f"{CANARY}/x", "must consist of"),
    ("PORTALS__MAIN__REQUESTS_PER_SECOND", CANARY, "number"),
    ("PORTALS__MAIN__REQUESTS_PER_SECOND", "nan", "finite"),
    ("PORTALS__MAIN__REQUESTS_PER_SECOND", "0", "greater than 0"),
    ("TIMEZONE", f"Europe/{CANARY}", "is no time zone"),
    ("PORTALS__MAIN__BURST", "0", "greater than or equal to 1"),
    ("DATABASE_URL", f"mysql://u:{CANARY}@db/x", "must begin with sqlite:///"),
    ("DATABASE_URL", f"postgresql+psycopg://u:{CANARY}@db:port/x", "is not a URL"),
    ("DATABASE_URL", f"postgresql+psycopg://u:a@{CANARY}@db/x", "write @ as %40"),
    ("DATABASE_URL", f"postgresql+psycopg://u:1/{CANARY}@db/x", "/ as %2F"),
    ("DATABASE_URL", f"postgresql+psycopg://u:1?{CANARY}@db/x", "? as %3F"),
    ("DATABASE_URL", f"postgresql+psycopg://u:1#{CANARY}@db/x", "# as %23"),
    ("DATABASE_URL", f"postgresql+psycopg://db:54#{CANARY}/x", "is not a URL"),
    ("DATABASE_URL", "sqlite:///:memory:", "must name a file"),
    ("MODE", CANARY, "'observe' or 'enforce'"),
    ("MODE", "approve", "'observe' or 'enforce'"),
    ("PORT", CANARY, "integer"),
    ("PORT", "70000", "65535"),
    ("SWEEP_EVERY", CANARY, "must be a number with a unit"),
    ("SWEEP_EVERY", "15", "must be a number with a unit"),
    ("SWEEP_EVERY", "-15m", "must be a number with a unit"),
    ("LOG_LEVEL", CANARY, "'debug'"),
    ("KEEP_DAYS", "0", "greater than or equal to 1"),
    ("ADMINS__IVAN", CANARY, "must be what `responder password` prints"),
    ("ADMIN_PORT", "8000", "must differ from RESPONDER_PORT"),
    ("NOTIFY_URL", f"http://hooks.example/{CANARY}", "must begin with https://"),
    ("NOTIFY_URL", f"https://{CANARY}@hooks.example/", "no user, password"),
    ("NOTIFY_SECRET", f"{CANARY}!", "must be whsec_ and then base64"),
    ("NOTIFY_SECRET", "whsec_Q0FOQVJZ", "24 to 64 random bytes"),
    ("NOTIFY_SECRET", ",", "is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "why"), BROKEN)
def test_an_error_names_the_variable_and_the_reason_and_not_the_value(
    name: str, value: str, why: str
) -> None:
    environ = MINIMAL | {f"RESPONDER_{name}": value}
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file=None)
    assert any(p.startswith(f"RESPONDER_{name}") and why in p for p in caught.value.problems)
    everything = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert CANARY not in everything


@given(
    name=st.sampled_from([name for name, _, _ in BROKEN]),
    value=st.text("abcdefgh:/[]{},\"'%@?#é\0\n", min_size=12, max_size=40),
)
@example(name="PORTALS__MAIN__URL", value="https://[::1]]/abcdefgh")
def test_no_value_whatever_shows_in_an_error(name: str, value: str) -> None:
    said = ""
    try:
        load(MINIMAL | {f"RESPONDER_{name}": value}, env_file=None)
    except SettingsError as error:
        said = "".join(traceback.format_exception(error))
    assert value.strip() not in said or not value.strip()


def test_every_problem_is_told_at_once() -> None:
    environ = {
        "RESPONDER_PORTALS__MAIN__URL": "nonsense",
        "RESPONDER_MODE": "kill",
        "RESPONDER_MOED": "enforce",
    }
    assert problems_of(environ) == (
        "RESPONDER_MOED is not a setting; did you mean RESPONDER_MODE?",
        "RESPONDER_PORTALS__MAIN__URL is not a URL with a host",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS is missing",
        "RESPONDER_MODE: Input should be 'observe' or 'enforce'",
    )


def test_at_least_one_portal_is_needed() -> None:
    (problem,) = problems_of({})
    assert problem == "RESPONDER_PORTALS__<NAME>__URL is missing: at least one portal is needed"


@pytest.mark.parametrize("name", ["URL", "APPLICATION_TOKENS"])
def test_an_empty_variable_counts_as_missing(name: str) -> None:
    variable = f"RESPONDER_PORTALS__MAIN__{name}"
    assert problems_of(MINIMAL | {variable: " "}) == (f"{variable} is missing",)


def test_an_empty_variable_that_is_not_required_has_its_default() -> None:
    assert loaded(MODE="", NOTIFY_URL="").mode is Mode.OBSERVE


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("RESPONDER_DATABASEURL", "RESPONDER_DATABASE_URL"),
        ("RESPONDER_PORTALS__MAIN__TOKENS", "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS"),
        ("RESPONDER_PORTALS__MAIN__MEMBERID", "RESPONDER_PORTALS__MAIN__MEMBER_ID"),
        ("RESPONDER_PORTALS__MAIN", "RESPONDER_PORTALS__MAIN__URL"),
        ("RESPONDER_PORTALS", "RESPONDER_PORTALS__<NAME>__URL"),
        ("RESPONDER_ADMIN__IVAN", "RESPONDER_ADMINS__IVAN"),
        ("RESPONDER_PORTALS__MAIN__URL__X", "RESPONDER_PORTALS__MAIN__URL"),
        ("responder_moed", "RESPONDER_MODE"),
    ],
)
def test_an_unknown_variable_is_an_error_with_the_nearest_name(wrong: str, near: str) -> None:
    expected = f"{wrong.upper()} is not a setting; did you mean {near}?"
    assert problems_of(MINIMAL | {wrong: "x"}) == (expected,)


def test_an_unknown_variable_like_no_other_is_an_error_too() -> None:
    assert problems_of(MINIMAL | {"RESPONDER_X": ""}) == ("RESPONDER_X is not a setting",)


def test_other_programs_variables_do_not_matter() -> None:
    load(MINIMAL | {"PATH": "/bin", "RESPONDERS": "x", "MODE": "x"}, env_file=None)


def test_a_token_and_a_webhook_belong_to_one_portal() -> None:
    problems = problems_of(
        MINIMAL
        | {
            "RESPONDER_PORTALS__SIDE__URL": URL.rstrip("/"),
            "RESPONDER_PORTALS__SIDE__APPLICATION_TOKENS": f"another-{TOKEN},{TOKEN}",
        }
    )
    assert sorted(problems) == [
        "RESPONDER_PORTALS__SIDE__APPLICATION_TOKENS shares a value with portal main",
        "RESPONDER_PORTALS__SIDE__URL shares a value with portal main",
    ]


def test_an_empty_database_url_is_no_default() -> None:
    (problem,) = problems_of(MINIMAL | {"RESPONDER_DATABASE_URL": ""})
    assert problem.startswith("RESPONDER_DATABASE_URL is empty")


def test_a_url_and_a_secret_for_notices_need_each_other() -> None:
    (problem,) = problems_of(MINIMAL | {"RESPONDER_NOTIFY_URL": "https://hooks.example/"})
    assert "need each other" in problem


def test_the_environment_wins_over_env_file_and_that_over_the_secrets_directory(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "secrets"
    directory.mkdir()
    for name, value in {
        **MINIMAL,
        "RESPONDER_MODE": "enforce",
        "RESPONDER_PORT": "1",
        "RESPONDER_HOST": "a.example",
        "something_else": "x",
    }.items():
        (directory / name).write_text(value + "\n")
    env_file = tmp_path / ".env"
    env_file.write_text("RESPONDER_PORT=2\nRESPONDER_HOST=b.example\nOTHER=${HOME}\n")
    settings = load(
        {"RESPONDER_SECRETS_DIR": str(directory), "RESPONDER_HOST": "c.example"}, env_file=env_file
    )
    assert url_of(settings.portals["main"]) == URL
    assert (settings.mode, settings.port, settings.host) == (Mode.ENFORCE, 2, "c.example")


def test_an_empty_variable_switches_off_what_env_file_says(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("RESPONDER_MODE=enforce\n")
    assert load(MINIMAL | {"RESPONDER_MODE": ""}, env_file=env_file).mode is Mode.OBSERVE


def test_unknown_names_in_env_file_are_errors_if_they_are_ours(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("COMPOSE_PROJECT_NAME=x\nRESPONDER_MOED=enforce\nRESPONDER_KEEP_DAY\n")
    assert problems_of(MINIMAL, env_file=env_file) == (
        "RESPONDER_MOED is not a setting; did you mean RESPONDER_MODE?",
        "RESPONDER_KEEP_DAY is not a setting; did you mean RESPONDER_KEEP_DAYS?",
    )


def test_unknown_files_in_the_secrets_directory_are_errors_if_they_are_ours(
    tmp_path: Path,
) -> None:
    (tmp_path / "responder_notify_secrets").write_text("x")
    (tmp_path / "..data").mkdir()
    (problem,) = problems_of(MINIMAL | {"RESPONDER_SECRETS_DIR": str(tmp_path)})
    assert problem.startswith("RESPONDER_NOTIFY_SECRETS is not a setting")


def test_a_secrets_directory_that_is_none_is_an_error(tmp_path: Path) -> None:
    environ = MINIMAL | {"RESPONDER_SECRETS_DIR": str(tmp_path / "absent")}
    assert problems_of(environ) == ("RESPONDER_SECRETS_DIR is not a directory",)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\xff" * 20, "is not UTF-8 text"), (b"x" * 70_000, "is too large for a secret")],
)
def test_a_secret_file_that_cannot_be_used_is_an_error(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "RESPONDER_NOTIFY_SECRET").write_bytes(content)
    (problem,) = problems_of(MINIMAL | {"RESPONDER_SECRETS_DIR": str(tmp_path)})
    assert problem.startswith("RESPONDER_NOTIFY_SECRET stands in a file that")
    assert problem.endswith(why)


def test_a_secret_file_that_is_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "RESPONDER_NOTIFY_SECRET").mkdir()
    (problem,) = problems_of(MINIMAL | {"RESPONDER_SECRETS_DIR": str(tmp_path)})
    assert "cannot be read" in problem


def test_an_env_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"RESPONDER_MODE=\xff")
    assert problems_of(MINIMAL, env_file=env_file) == (".env is not UTF-8 text",)


def test_one_variable_in_two_spellings_is_an_error() -> None:
    environ = MINIMAL | {"RESPONDER_MODE": "observe", "responder_mode": "enforce"}
    (problem,) = problems_of(environ)
    assert problem == "RESPONDER_MODE stands in the environment twice, in two spellings"


@pytest.mark.parametrize("name", ["UPPER", "a-b", "a__b"])
def test_a_portals_name_is_made_of_lower_case_letters_digits_and_underscores(name: str) -> None:
    portal = PortalSettings(url=SecretStr(URL), application_tokens=(SecretStr(TOKEN),))
    with pytest.raises(ValueError, match="has a name"):
        Settings(portals={name: portal})


def test_settings_never_show_a_secret() -> None:
    settings = loaded(
        DATABASE_URL="postgresql+psycopg://me:pass%2Fword@db.example/responder",
        ADMINS__IVAN=HASH,
        PORTALS__MAIN__URL_KEY="a-secret-segment",
        NOTIFY_URL="https://hooks.example/services/secret-0001",
        NOTIFY_SECRET=f"whsec_{KEY},{KEY[::-1]}",
    )
    shown = f"{settings!r} {settings}"
    everything = secrets(settings)
    assert everything == {
        "rest/1/hook-secret-0001",
        "hook-secret-0001",
        TOKEN,
        "pass%2Fword",
        "pass/word",
        HASH,
        "a-secret-segment",
        "https://hooks.example/services/secret-0001",
        "services/secret-0001",
        KEY,
        KEY[::-1],
    }
    assert not [secret for secret in everything if secret in shown]


def test_a_hook_secret_as_short_as_a_word_is_hidden_only_where_it_stands() -> None:
    found = secrets(loaded(PORTALS__MAIN__URL="https://portal.example/rest/1/deal/"))
    assert found == {"rest/1/deal", TOKEN}
