"""Says what to do about deliveries that were refused, by the reason."""

_ADVICE = {
    "a wrong application token": (
        "Compare RESPONDER_PORTALS__{name}__APPLICATION_TOKENS with the token that the portal's "
        "outbound webhook shows; a local application learns its own when it is installed. If they "
        "agree, somebody else is trying."
    ),
    "no application token": (
        "Robots and activities without a token need the address with the url_key; "
        "see RESPONDER_PORTALS__{name}__URL_KEY."
    ),
    "a wrong url_key": (
        "Compare RESPONDER_PORTALS__{name}__URL_KEY with the address that the portal's designer "
        "calls."
    ),
    "an installation message that was not believed": (
        "If it was yours, `responder app` says why it was not believed; else somebody is trying."
    ),
    "an authorization that was not asked for": (
        "Open the link that `responder app` prints within ten minutes."
    ),
    "another member_id": "See RESPONDER_PORTALS__{name}__MEMBER_ID: the portal sends another one.",
}
_ELSE = "Find out who sends it: no webhook of Bitrix24 sends anything like it."


def refusal_advice(why: str, portal: str | None) -> str:
    """Return what to do; `portal` is the one whose address was named, None where it was none."""
    return _ADVICE.get(why, _ELSE).format(name=portal.upper() if portal else "<NAME>")
