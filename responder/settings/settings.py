"""Reads the settings, and reports every variable that is wrong, with the reason.

Every place is searched for `RESPONDER_` names that do not exist, because a misspelt guard rail is
an absent one. A variable that is empty counts as not given.

An error names the variable and the reason, never the value: pydantic is configured to hide its
input, and its errors are rewritten here and not passed on.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

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

from responder.model import Mode
from responder.settings import consistency, time_zone, validators, webhook_signature
from responder.settings.consistency import portal_variable
from responder.settings.sources import (
    DATABASE_URL,
    DEFAULT_DATABASE_URL,
    EMPTY_DATABASE_URL,
    PREFIX,
    gather,
)

POLLED = timedelta(seconds=60)
POLLED_ALONE = timedelta(seconds=5)  # where events come in no other way
_SHORTEST_SEGMENT = 6


class SettingsError(Exception):
    """The error for wrong settings. `problems` has each variable with the reason, and no value."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PortalSettings(BaseModel):
    """The settings of one portal: its webhooks, its local application, or both.

    By webhooks it is called at `url`, and its events are known by `application_tokens`. By an
    application it is called at `domain`, and events are known by what was pinned at installation.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True
    )

    domain: Annotated[str, AfterValidator(validators.domain)] | None = None
    client_id: str | None = Field(default=None, min_length=1)
    client_secret: SecretStr | None = Field(default=None, min_length=validators.SHORTEST_TOKEN)
    poll_every: Annotated[timedelta, BeforeValidator(validators.poll_every)] | None = None
    # after `domain`, without which they are needed
    url: Annotated[
        SecretStr | None,
        AfterValidator(validators.needed_without_domain),
        AfterValidator(validators.portal_url),
    ] = Field(default=None, validate_default=True)
    application_tokens: Annotated[
        tuple[SecretStr, ...],
        BeforeValidator(validators.split_list),
        AfterValidator(validators.needed_without_domain),
        AfterValidator(validators.tokens),
    ] = Field(default=(), validate_default=True)
    member_id: str | None = None
    url_key: Annotated[SecretStr, AfterValidator(validators.url_key)] | None = None
    requests_per_second: float = Field(default=2.0, gt=0, le=1000, allow_inf_nan=False)
    burst: int = Field(default=50, ge=1, le=100_000)

    @property
    def host(self) -> str:
        """Return the portal's host in lower case, with its port if it has one."""
        url = self.url.get_secret_value() if self.url else ""
        return self.domain or urlsplit(url).netloc.lower()

    @property
    def origin(self) -> str:
        """Return the address of the portal's pages, without a path."""
        return f"{validators.scheme_of(self.host)}://{self.host}"

    @property
    def application_is_configured(self) -> bool:
        """Return whether a local application can be verified: its id and its secret are known."""
        return None not in (self.domain, self.client_id, self.client_secret)


class Settings(BaseSettings):
    """Everything that can be set, with its default. Building one reads nothing: `load` does."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        enable_decoding=False,
    )

    portals: Annotated[
        dict[str, PortalSettings], AfterValidator(validators.valid_names), Field(min_length=1)
    ]
    rules: Path = Path("rules.yaml")
    database_url: Annotated[SecretStr, AfterValidator(validators.database_url)] = SecretStr(
        DEFAULT_DATABASE_URL
    )
    mode: Annotated[Mode, BeforeValidator(validators.mode)] = Mode.OBSERVE
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    sweep_every: Annotated[timedelta, BeforeValidator(validators.duration)] = timedelta(minutes=15)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(validators.lower)
    ] = "info"
    keep_days: int = Field(default=400, ge=1, le=36_500)
    timezone: Annotated[str, AfterValidator(validators.timezone)] = "UTC"
    admins: Annotated[
        dict[str, validators.PasswordHash], AfterValidator(validators.valid_names)
    ] = {}
    admin_port: int | None = Field(default=None, ge=0, le=65535)
    secret_key: Annotated[SecretStr, AfterValidator(validators.secret_key)] | None = None
    public_url: Annotated[str, AfterValidator(validators.public_url)] | None = None
    notify_url: Annotated[SecretStr, AfterValidator(validators.notify_url)] | None = None
    notify_secret: Annotated[SecretStr, AfterValidator(validators.notify_secret)] | None = None
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
        """Return the caller's values as the only source, and nothing from the environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def zone(self) -> tzinfo:
        """Return the time zone in which people are shown instants."""
        return time_zone.zone_named(self.timezone)

    def events_at(self, portal: str) -> str | None:
        """Return where a portal's application sends its events; None where it cannot reach us."""
        return None if self.public_url is None else f"{self.public_url}/app/{portal}"

    def poll_every(self, portal: str) -> timedelta:
        """Return how often a portal is asked for the events that it kept for its application."""
        return self.portals[portal].poll_every or (POLLED if self.public_url else POLLED_ALONE)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        checks = (consistency.shared, consistency.incomplete, consistency.of_two_portals)
        problems = [problem for check in checks for problem in check(self.portals)]
        if self.secret_key is None and any(one.domain for one in self.portals.values()):
            problems.append(f"{PREFIX}SECRET_KEY is missing: it encrypts an application's tokens")
        if (self.notify_url is None) != (self.notify_secret is None):
            problems.append(f"{PREFIX}NOTIFY_URL and {PREFIX}NOTIFY_SECRET need each other")
        if self.admin_port is not None and self.admin_port == self.port != 0:
            problems.append(f"{PREFIX}ADMIN_PORT must differ from {PREFIX}PORT")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def load(
    environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")
) -> Settings:
    """Read all three places; raise `SettingsError` with every problem at once."""
    given, problems = gather(os.environ if environ is None else environ, env_file)
    problems += [_unknown(name) for name in given if not _is_known(name)]
    if given.get(DATABASE_URL) == "":
        problems.append(EMPTY_DATABASE_URL)
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
    """Return every text that must never be printed."""
    found: set[str] = set()
    for portal in settings.portals.values():
        if portal.url is not None:
            found |= _url_secrets(portal.url.get_secret_value())
        found |= {token.get_secret_value() for token in portal.application_tokens}
        found |= _revealed(portal.url_key) | _revealed(portal.client_secret)
    for hashed in settings.admins.values():
        found |= _revealed(hashed)
    found |= _revealed(settings.secret_key)
    found |= _revealed(settings.notify_url) | _receiver_secrets(settings.notify_url)
    for secret in _revealed(settings.notify_secret):
        found |= set(webhook_signature.texts_of(secret))
    found |= _passwords(settings.database_url.get_secret_value())
    return frozenset(text for text in found if text)


def _revealed(secret: SecretStr | None) -> set[str]:
    return {secret.get_secret_value()} if secret is not None else set()


def _url_secrets(url: str) -> set[str]:
    """Return the webhook's path, and its secret alone unless that is as short as a word."""
    path = urlsplit(url).path.strip("/")
    secret = path.rpartition("/")[2]
    return {path, secret} if len(secret) >= _SHORTEST_SEGMENT else {path}


def _receiver_secrets(url: SecretStr | None) -> set[str]:
    """Return the parts of a receiver's address that are long enough to be a secret."""
    if url is None:
        return set()
    parts = urlsplit(url.get_secret_value())
    return {
        text
        for text in (parts.path.strip("/"), parts.query)
        if len(text) >= validators.SHORTEST_TOKEN
    }


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
            and bool(validators.NAME.fullmatch(rest[0]))
            and rest[1] in PortalSettings.model_fields
        )
    if first == "admins":
        return len(rest) == 1 and bool(validators.NAME.fullmatch(rest[0]))
    return not rest and first in Settings.model_fields


def _unknown(variable: str) -> str:
    near = _nearest(variable.removeprefix(PREFIX))
    hint = f"; did you mean {PREFIX}{near}?" if near else ""
    return f"{variable} is not a setting{hint}"


def _nearest(name: str) -> str | None:
    """Return the nearest name of a setting; within a portal, only the last part is compared."""
    first, *rest = name.split("__")
    if first == "PORTALS" and rest and validators.NAME.fullmatch(rest[0].lower()):
        fields = [field.upper() for field in PortalSettings.model_fields]
        field = _like(rest[1], fields) if len(rest) > 1 else "URL"
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
        yield f"{portal_variable('<NAME>', 'URL')} is missing: at least one portal is needed"
    else:
        # pydantic adds the key or the position of an item; the variable is enough
        depth = {"PORTALS": 3, "ADMINS": 2}.get(place[0], 1)
        variable = PREFIX + "__".join(place[:depth])
        yield (
            f"{variable} is missing"
            if detail["type"] == "missing"
            else _sentence(variable, message)
        )


def _sentence(variable: str, message: str) -> str:
    own_words = message.split(" ", 1)[0] in ("is", "must", "holds", "has")
    return f"{variable} {message}" if own_words else f"{variable}: {message}"
