"""Implements the methods about people, and about the webhook or application itself."""

from collections.abc import Mapping

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.rows import Listing, ListParams, page
from responder.bitrix24.sandbox.state import State

_USER_FIELDS = ("ID", "ACTIVE", "NAME", "LAST_NAME", "USER_TYPE", "UF_DEPARTMENT")
_USERS = Listing(
    fields=_USER_FIELDS,
    select=_USER_FIELDS,
    order=(("ID", "ASC"),),
    any_case=True,
    numbers=frozenset({"ID"}),
)


def users(state: State, params: Mapping[str, object]) -> Answer:
    """List users; ACTIVE is a boolean, all else text. Hidden users are never there.

    A filter may stand outside `FILTER` where there is none; an empty list has no total (module
    rest, lib/api/user.php `userGet`).
    """
    asked = {name.upper(): value for name, value in params.items()}
    outside = {name: value for name, value in asked.items() if name in _USER_FIELDS}
    wanted = php.mapping(asked.get("FILTER")) or outside
    found = page(
        [user for key, user in state.users.items() if key not in state.hidden_users],
        ListParams(
            filter={} if state.drop_filters else {key: _flag(one) for key, one in wanted.items()},
            order={php.text(asked.get("SORT")): asked.get("ORDER")},
            select=php.texts(asked.get("SELECT")),
            start=php.integer(asked.get("START")),
        ),
        _USERS,
    )
    return found if found.value else Answer(value=[])


def _flag(value: object) -> object:
    return {"Y": True, "N": False, "true": True, "false": False}.get(php.text(value), value)


def current_user(state: State, _params: Mapping[str, object]) -> Answer:
    """Return the user of the webhook, or of the token."""
    user = state.users.get(state.actor.user_id)
    return Answer(value=user if user and user["ACTIVE"] else [])


def profile(state: State, _params: Mapping[str, object]) -> Answer:
    """Return who calls, and whether they are an administrator; `[]` for an inactive user."""
    user = state.users.get(state.actor.user_id)
    if not user or not user["ACTIVE"]:
        return Answer(value=[])
    return Answer(
        value={
            "ID": user["ID"],
            "ADMIN": state.actor.admin,
            "NAME": user["NAME"],
            "LAST_NAME": user["LAST_NAME"],
            "PERSONAL_GENDER": "",
            "PERSONAL_PHOTO": None,
            "TIME_ZONE": "Europe/Moscow",
            "TIME_ZONE_OFFSET": 0,
        }
    )


def scope(state: State, _params: Mapping[str, object]) -> Answer:
    """List the scopes that the webhook, or the application, was given."""
    return Answer(value=list(state.actor.scopes))


def app_info(state: State, _params: Mapping[str, object]) -> Answer:
    """Return the scopes and the licence to a webhook, and its own state to an application."""
    application = state.application
    if not state.actor.application or application is None:
        return Answer(value={"SCOPE": list(state.scopes), "LICENSE": "ru_demo"})
    return Answer(
        value={
            "ID": application.number,
            "CODE": application.client_id,
            "VERSION": application.version,
            "STATUS": "L",
            "INSTALLED": application.installed,
            "PAYMENT_EXPIRED": "N",
            "DAYS": None,
            "LANGUAGE_ID": "en",
            "LICENSE": "ru_demo",
        }
    )


def feature(state: State, params: Mapping[str, object]) -> Answer:
    """Return whether the plan has a feature."""
    code = php.text({name.upper(): value for name, value in params.items()}.get("CODE"))
    if not code:
        raise RefusedError(400, "ERROR_ARGUMENT", "Argument 'CODE' is null or empty")
    return Answer(value={"value": "Y" if code in state.features else "N"})


def server_time(state: State, _params: Mapping[str, object]) -> Answer:
    """Return the time on the portal's clock."""
    return Answer(value=state.instant())
