"""Reads the settings: what can be set, what is right, and which variable is wrong and why.

Every place is searched for `RESPONDER_` names that do not exist, because a misspelt guard rail is
an absent one. A variable that is empty counts as not given.

An error names the variable and the reason, never the value: pydantic is told to hide its input, and
what it raises is rendered here and not passed on.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from responder.environment import PREFIX, gather
from responder.model import Mode

T = TypeVar("T")

_SHORTEST_TOKEN = 16
_SHORTEST_URL_KEY = 8
_SHORTEST_SEGMENT = 6
_NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_WEBHOOK_PATH = re.compile(r"/rest/[0-9]+/[A-Za-z0-9_.~-]+/")
_URL_KEY = re.compile(r"[A-Za-z0-9_.~-]+")
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DATABASES = ("sqlite:///", "postgresql+psycopg://")


class SettingsError(Exception):
    """The settings are wrong. `problems` names each variable and why, and holds no value."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def _split(url: str, *, needs_host: bool = True) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if needs_host and not parts.hostname:
        raise ValueError("is not a URL with a host")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _must_be_safe(parts: SplitResult) -> None:
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// (plain http is for loopback addresses only)")
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https://")


def _portal_url(given: SecretStr) -> SecretStr:
    url = given.get_secret_value().strip()
    parts = _split(url)
    _must_be_safe(parts)
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    if not _WEBHOOK_PATH.fullmatch(path) or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must look like https://host/rest/<user>/<secret>/")
    return SecretStr(f"{parts.scheme}://{parts.netloc}{path}")


def _listed(given: object) -> object:
    """Split `a,b` or `["a", "b"]` into texts."""
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith("["):
        return [part.strip() for part in given.split(",") if part.strip()]
    try:
        texts = json.loads(given)
    except (ValueError, RecursionError):
        raise ValueError("is not a JSON list of texts") from None
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("is not a JSON list of texts")
    return [text.strip() for text in texts]


def _tokens(given: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not given:
        raise ValueError("is missing")
    if any(len(token.get_secret_value()) < _SHORTEST_TOKEN for token in given):
        raise ValueError(f"holds a token that is shorter than {_SHORTEST_TOKEN} characters")
    return tuple(dict.fromkeys(given))


def _url_key(given: SecretStr) -> SecretStr:
    key = given.get_secret_value()
    if not _URL_KEY.fullmatch(key):
        raise ValueError("must consist of letters, digits and - _ . ~")
    if len(key) < _SHORTEST_URL_KEY:
        raise ValueError(f"is shorter than {_SHORTEST_URL_KEY} characters")
    return given


def _database_url(given: SecretStr) -> SecretStr:
    url = given.get_secret_value().strip()
    if not url.startswith(_DATABASES):
        raise ValueError(f"must begin with {' or '.join(_DATABASES)}")
    if url.startswith("sqlite:"):
        if url.partition("?")[0] in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("must name a file: what is only in memory does not survive")
    else:
        _split(url, needs_host=False)  # without one, PostgreSQL is reached through its socket
    return SecretStr(url)


def _notify_url(given: SecretStr) -> SecretStr:
    _must_be_safe(_split(given.get_secret_value()))
    return given


def _notify_secret(given: SecretStr) -> SecretStr:
    if len(given.get_secret_value()) < _SHORTEST_TOKEN:
        raise ValueError(f"is shorter than {_SHORTEST_TOKEN} characters")
    return given


def _duration(given: object) -> object:
    if not isinstance(given, str):
        return given
    if given.strip() == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(given.strip())
    if match is None:
        raise ValueError("must be a number with a unit (30s, 15m, 2h, 1d), or 0")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _lower(given: object) -> object:
    return given.strip().lower() if isinstance(given, str) else given


def _named(given: dict[str, T]) -> dict[str, T]:
    for name in given:
        if not _NAME.fullmatch(name):
            raise ValueError("has a name that is not made of a-z, 0-9 and single underscores")
    return given


class PortalSettings(BaseModel):
    """One portal: where it is called, and what proves that an event is its own."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True
    )

    url: Annotated[SecretStr, AfterValidator(_portal_url)]
    application_tokens: Annotated[
        tuple[SecretStr, ...], BeforeValidator(_listed), AfterValidator(_tokens)
    ]
    member_id: str | None = None
    url_key: Annotated[SecretStr, AfterValidator(_url_key)] | None = None
    requests_per_second: float = Field(default=2.0, gt=0, le=1000, allow_inf_nan=False)
    burst: int = Field(default=50, ge=1, le=100_000)


class Settings(BaseSettings):
    """Everything that can be set, with its default. Building one reads nothing: `load` does."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        enable_decoding=False,
    )

    portals: Annotated[dict[str, PortalSettings], AfterValidator(_named), Field(min_length=1)]
    rules: Path = Path("rules.yaml")
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = SecretStr(
        "sqlite:///responder.db"
    )
    mode: Annotated[Mode, BeforeValidator(_lower)] = Mode.OBSERVE
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    sweep_every: Annotated[timedelta, BeforeValidator(_duration)] = timedelta(minutes=15)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)
    ] = "info"
    keep_days: int = Field(default=400, ge=1, le=36_500)
    admins: Annotated[dict[str, SecretStr], AfterValidator(_named)] = {}
    admin_port: int | None = Field(default=None, ge=0, le=65535)
    notify_url: Annotated[SecretStr, AfterValidator(_notify_url)] | None = None
    notify_secret: Annotated[SecretStr, AfterValidator(_notify_secret)] | None = None
    secrets_dir: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the caller gives, and nothing from the surroundings."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        problems = [*_shared_secrets(self.portals)]
        if (self.notify_url is None) != (self.notify_secret is None):
            problems.append(f"{PREFIX}NOTIFY_URL and {PREFIX}NOTIFY_SECRET need each other")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _shared_secrets(portals: Mapping[str, PortalSettings]) -> Iterator[str]:
    """Find tokens and keys that would not tell which portal is speaking."""
    owners: dict[tuple[str, str], str] = {}
    for name, portal in portals.items():
        proofs = [("APPLICATION_TOKENS", token) for token in portal.application_tokens]
        if portal.url_key is not None:
            proofs.append(("URL_KEY", portal.url_key))
        for field, secret in proofs:
            owner = owners.setdefault((field, secret.get_secret_value()), name)
            if owner != name:
                yield f"{_portal_variable(name, field)} shares a value with portal {owner}"


def _portal_variable(name: str, field: str) -> str:
    return f"{PREFIX}PORTALS__{name.upper()}__{field.upper()}"


def load(
    environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")
) -> Settings:
    """Read all three places; raise `SettingsError` with every problem at once."""
    given, problems = gather(os.environ if environ is None else environ, env_file)
    problems += [_unknown(name) for name in given if not _is_known(name)]
    known = {name: value for name, value in given.items() if _is_known(name) and value}
    source = EnvSettingsSource(Settings, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {name.lower(): value for name, value in known.items()}
    try:
        settings = Settings(**source())
    except ValidationError as error:
        problems += _rendered(error)
    else:
        if not problems:
            return settings
    raise SettingsError(dict.fromkeys(problems))


def secrets(settings: Settings) -> frozenset[str]:
    """Collect every text that must never be printed."""
    found: set[str] = set()
    for portal in settings.portals.values():
        found |= _url_secrets(portal.url.get_secret_value())
        found |= {token.get_secret_value() for token in portal.application_tokens}
        found |= _revealed(portal.url_key)
    for hashed in settings.admins.values():
        found |= _revealed(hashed)
    found |= _revealed(settings.notify_secret) | _revealed(settings.notify_url)
    found |= _passwords(settings.database_url.get_secret_value())
    return frozenset(text for text in found if text)


def _revealed(secret: SecretStr | None) -> set[str]:
    return {secret.get_secret_value()} if secret is not None else set()


def _url_secrets(url: str) -> set[str]:
    """Return the webhook's path, and its secret alone unless that is as short as a word."""
    path = urlsplit(url).path.strip("/")
    secret = path.rpartition("/")[2]
    return {path, secret} if len(secret) >= _SHORTEST_SEGMENT else {path}


def _passwords(database_url: str) -> set[str]:
    if database_url.startswith("sqlite:"):
        return set()
    written = urlsplit(database_url).password or ""
    in_query = parse_qs(urlsplit(database_url).query).get("password", [])
    return {written, unquote(written), *in_query}


def _is_known(variable: str) -> bool:
    first, *rest = variable.removeprefix(PREFIX).lower().split("__")
    if first == "portals":
        return (
            len(rest) == 2
            and bool(_NAME.fullmatch(rest[0]))
            and rest[1] in PortalSettings.model_fields
        )
    if first == "admins":
        return len(rest) == 1 and bool(_NAME.fullmatch(rest[0]))
    return not rest and first in Settings.model_fields


def _unknown(variable: str) -> str:
    near = _nearest(variable.removeprefix(PREFIX))
    hint = f"; did you mean {PREFIX}{near}?" if near else ""
    return f"{variable} is not a setting{hint}"


def _nearest(name: str) -> str | None:
    """Find the name that was meant; within a portal, only its last part is compared."""
    first, *rest = name.split("__")
    if first == "PORTALS" and rest and _NAME.fullmatch(rest[0].lower()):
        fields = [field.upper() for field in PortalSettings.model_fields]
        field = _like(rest[1], fields) if len(rest) > 1 else fields[0]
        return f"PORTALS__{rest[0]}__{field}" if field else None
    tables = ["PORTALS__<NAME>__URL", f"ADMINS__{rest[0] if rest else '<NAME>'}"]
    plain = [field.upper() for field in Settings.model_fields if field not in ("portals", "admins")]
    same_table = [table for table in tables if table.split("__")[0] == first]
    return same_table[0] if same_table else _like(name, plain + tables)


def _like(name: str, names: list[str]) -> str | None:
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    near += [longer for longer in names if len(name) > 3 and name in longer]
    return near[0] if near else None


def _rendered(error: ValidationError) -> Iterator[str]:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    for detail in details:
        yield from _sentences(detail)


def _sentences(detail: ErrorDetails) -> Iterator[str]:
    message = detail["msg"].removeprefix("Value error, ")
    place = [str(part).upper() for part in detail["loc"]]
    if not place:
        yield from message.splitlines()
    elif place == ["PORTALS"] and detail["type"] in ("missing", "too_short"):
        yield f"{_portal_variable('<NAME>', 'URL')} is missing: at least one portal is needed"
    else:
        # pydantic adds the key or the position of an item; the variable is enough
        depth = {"PORTALS": 3, "ADMINS": 2}.get(place[0], 1)
        variable = PREFIX + "__".join(place[:depth])
        yield f"{variable} is missing" if detail["type"] == "missing" else _said(variable, message)


def _said(variable: str, message: str) -> str:
    own_words = message.split(" ", 1)[0] in ("is", "must", "holds", "has")
    return f"{variable} {message}" if own_words else f"{variable}: {message}"
