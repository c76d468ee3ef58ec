"""Names and values mean what PHP takes them to mean, and no bytes break the reading.

The expected trees were worked out by hand from php_register_variable_ex in PHP's own source,
main/php_variables.c.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from responder.bitrix24 import payload
from responder.bitrix24.payload import TooLarge, Unreadable, call, scan
from tests.bitrix24.nested import document_of_event
from tests.bitrix24.test_payload import at, read, ref_of

TOKENS: list[tuple[bytes, bytes | None]] = [
    (b"auth[application_token]=abc", b"abc"),
    (b"auth%5Bapplication_token%5D=abc", b"abc"),
    (b"auth%5bapplication_token%5d=abc", b"abc"),
    (b"%61uth%5Bapplication_token%5D=abc", b"abc"),
    (b"auth[application%5ftoken]=abc", b"abc"),
    (b"+auth[application_token]=abc", b"abc"),
    (b"auth[application_token]x=abc", b"abc"),
    (b"auth[application_token][x=abc", b"abc"),
    (b"auth[application_token]%00x=abc", b"abc"),
    (b"auth[application_token]=a%62c", b"abc"),
    (b"auth[application_token]=a+b", b"a b"),
    (b"auth[application_token]=a=b", b"a=b"),
    (b"auth[application_token]=%zz%4", b"%zz%4"),
    (b"auth[application_token]=%D1%82%D0%BE%D0%BA%D0%B5%D0%BD", "токен".encode()),
    (b"auth[application_token]=\xff\xfe", b"\xff\xfe"),
    (b"auth[application_token]=%ff%00%ed%a0%80", b"\xff\x00\xed\xa0\x80"),
    (b"auth[application_token]=", b""),
    (b"auth[application_token]", b""),
    (b"auth[application_token]=one&auth[application_token]=two", b"two"),
    (b"auth[application_token]=one&auth%5Bapplication_token%5D=two", b"two"),
    (b"auth=x&auth[application_token]=abc", b"abc"),
    (b"auth[application_token][]=x&auth[application_token]=abc", b"abc"),
    (b"auth[application_token]=abc&auth[]=x", b"abc"),
    (b"auth[application_token]=abc&auth[other][application_token]=x", b"abc"),
    (b"auth[application_token]=abc&auth=x", None),
    (b"auth[application_token]=abc&auth[application_token][]=x", None),
    (b"auth[application_token]=abc&auth[application_token][x]=x", None),
    (b"auth[application_token][]=abc", None),
    (b"auth[application_token][0]=abc", None),
    (b"auth[][application_token]=abc", None),
    (b"auth[ application_token]=abc", None),
    (b"auth[application.token]=abc", None),
    (b"auth [application_token]=abc", None),
    (b"auth.[application_token]=abc", None),
    (b"auth[application_token=abc", None),
    (b"auth.application_token=abc", None),
    (b"Auth[application_token]=abc", None),
    (b"auth[APPLICATION_TOKEN]=abc", None),
    (b"auth%00[application_token]=abc", None),
    (b"%00auth[application_token]=abc", None),
    (b"auth%255Bapplication_token%255D=abc", None),
    (b"a=1;auth[application_token]=abc", None),
    (b"application_token=abc", None),
    (b"[auth][application_token]=abc", None),
    (b"data[auth][application_token]=abc", None),
]


@pytest.mark.parametrize(("body", "token"), TOKENS)
def test_the_token_is_what_php_would_take_it_to_be(body: bytes, token: bytes | None) -> None:
    assert scan(body).token == token
    assert scan(b"event=X&" + body + b"&ts=1").token == token
    found = at(payload.event(body), "auth", "application_token")
    expected = None if token is None else token.decode("utf-8", "replace").replace("\0", "\ufffd")
    assert (found if isinstance(found, str) else None) == expected


def test_a_scalar_named_auth_takes_the_member_away_too() -> None:
    assert scan(b"auth[member_id]=m").member_id == b"m"
    assert scan(b"auth[member_id]=m&auth=x").member_id is None


# Names and values

TREES: list[tuple[bytes, dict[str, object]]] = [
    (b"a=1&b=2", {"a": "1", "b": "2"}),
    (b"a", {"a": ""}),
    (b"a=1&&b=2&", {"a": "1", "b": "2"}),
    (b"=1&[x]=2&%00=3&+=4", {}),
    (b"a=1&a=2", {"a": "2"}),
    (b"a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
    (b"a[b]=1&a[b]=2", {"a": {"b": "2"}}),
    (b"a=1&a[b]=2", {"a": {"b": "2"}}),
    (b"a[b]=2&a=1", {"a": "1"}),
    (b"a[b]=1&a[b][c]=2", {"a": {"b": {"c": "2"}}}),
    (b"a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
    (b"a[%20]=1&a[+]=2&a[%0B]=3", {"a": {"0": "1", "1": "2", "2": "3"}}),
    (b"a[5]=1&a[]=2", {"a": {"5": "1", "6": "2"}}),
    (b"a[x]=1&a[05]=2&a[-5]=3&a[]=4", {"a": {"x": "1", "05": "2", "-5": "3", "0": "4"}}),
    (b"a[][b]=1&a[][b]=2", {"a": {"0": {"b": "1"}, "1": {"b": "2"}}}),
    (b"a[571][id]=1", {"a": {"571": {"id": "1"}}}),
    (b"a.b=1&c d=2&e+f=3", {"a_b": "1", "c_d": "2", "e_f": "3"}),
    (b"a.b[c.d]=1", {"a_b": {"c.d": "1"}}),
    (b"++a=1", {"a": "1"}),
    (b"a[b=1", {"a_b": "1"}),
    (b"a[b.c[d=1", {"a_b_c_d": "1"}),
    (b"a[b][c=1", {"a": {"b": "1"}}),
    (b"a[b]c[d]=1", {"a": {"b": "1"}}),
    (b"a[[b]]=1", {"a": {"[b": "1"}}),
    (b"a]=1", {"a]": "1"}),
    (b"a%00b=1", {"a": "1"}),
    (b"a[b%00c]=1", {"a_b": "1"}),
    (b"%zz=%zz&b=%4&c=%", {"%zz": "%zz", "b": "%4", "c": "%"}),
    (b"a=%2500", {"a": "%00"}),
    (b"a=%00x", {"a": "\ufffdx"}),
    (b"a=\xff%ff", {"a": "\ufffd\ufffd"}),
    (b"a[\xff]=1", {"a": {"\ufffd": "1"}}),
    (b"a=%D0%AF+%D1%8F", {"a": "Я я"}),
    (b"a=1;b=2", {"a": "1;b=2"}),
    (b"data[FIELDS_BEFORE]=undefined", {"data": {"FIELDS_BEFORE": "undefined"}}),
    (b"data[F][ID]=1&data[F]=undefined", {"data": {"F": "undefined"}}),
    (b"__proto__[x]=1&__class__=2", {"__proto__": {"x": "1"}, "__class__": "2"}),
    (b"a[b][c][d][e][f]=1", {"a": {"b": {"c": {"d": {"e": {"f": "1"}}}}}}),
    (b"a[b][c][d][e][f][g]=1&h=2", {"h": "2"}),
]


@pytest.mark.parametrize(("form", "tree"), TREES)
def test_a_form_reads_back_as_php_nests_it(form: bytes, tree: dict[str, object]) -> None:
    assert payload.event(form) == tree


PLACES: list[tuple[bytes, str | None]] = [
    (b"data[FIELDS][ID]=5", "deal:5"),
    (b"data[FIELDS][ID]=5&data[FIELDS][ID]=6", "deal:6"),
    (b"data[FIELDS][ID]=%35", "deal:5"),
    (b"data%5BFIELDS][%49D]=5", "deal:5"),
    (b"data=x&data[FIELDS][ID]=5", "deal:5"),
    (b"data[FIELDS]=undefined&data[FIELDS][ID]=5", "deal:5"),
    (b"data[FIELDS][ID]=5&data[FIELDS]=undefined", None),
    (b"data[FIELDS][ID]=5&data=", None),
    (b"data[FIELDS][ID]=5&data[FIELDS][ID][]=6", None),
    (b"data[FIELDS][ID]=undefined", None),
    (b"data[FIELDS][ID]=5%00", None),
    (b"data[FIELDS][ID]=%D9%A5", None),
    (b"data[FIELDS][ID]=+5", None),
    (b"data[FIELDS][ID]=" + b"9" * 19, None),
    (b"data[fields][id]=5", None),
    (b"x=1", None),
]


@pytest.mark.parametrize(("pairs", "ref"), PLACES)
def test_the_document_stands_where_php_would_find_it(pairs: bytes, ref: str | None) -> None:
    assert ref_of(b"event=ONCRMDEALUPDATE&" + pairs) == ref


@pytest.mark.parametrize(
    ("value", "event"),
    [
        (b"onCrmDealUpdate", "ONCRMDEALUPDATE"),
        (b"%6fncrmdealupdate", "ONCRMDEALUPDATE"),
        (b"CATALOG.PRODUCT.ON.ADD", "CATALOG.PRODUCT.ON.ADD"),
        (b"on%00x%ff", "ON\ufffdX\ufffd"),
        ("oncrmdyn\u0131".encode(), "ONCRMDYN\u0131"),
    ],
)
def test_an_events_name_is_given_in_upper_case(value: bytes, event: str) -> None:
    assert read(b"event=" + value).event == event


# Any bytes at all

pieces = st.sampled_from(
    [
        *b"event auth data FIELDS FIELDS_AFTER ID TASK_ID ENTITY_TYPE_ID undefined".split(),
        *b"application_token member_id document_id workflow_id 0 1 2 147 crm DEAL_5".split(),
        *b"ONCRMDEALUPDATE ONTASKUPDATE ONCRMDYNAMICITEMADD".split(),
        *b"[ ] ][ [] %5B %5D & & = % %00 %ff + . ; _".split(),
        *(b" ", b"\0", b"\xff"),
    ]
)
mixtures = st.lists(pieces, max_size=40).map(b"".join)

keys = st.sampled_from([b"FIELDS", b"ID", b"FIELDS_AFTER", b"FIELDS_BEFORE", b"TASK_ID", b"0", b""])
names = st.builds(
    lambda head, keys: head + b"".join(b"[" + key + b"]" for key in keys),
    st.sampled_from([b"data", b"data", b"data", b"event", b"auth", b" data", b"da.ta", b"%64ata"]),
    st.lists(keys | st.sampled_from([b"application_token", b"ENTITY_TYPE_ID"]), max_size=4),
)
values = st.sampled_from([b"5", b"6", b"147", b"31", b"undefined", b"", b"%35", b"ONTASKUPDATE"])
plausible = st.builds(
    lambda event, pairs: b"&".join([b"event=" + event, *(n + b"=" + v for n, v in pairs)]),
    st.sampled_from([b"ONCRMDEALUPDATE", b"ONTASKUPDATE", b"ONTASKCOMMENTADD"])
    | st.sampled_from([b"ONCRMDYNAMICITEMADD", b"ONCRMDYNAMICITEMADD_147"]),
    st.lists(st.tuples(names, values), max_size=8),
)


@given(st.one_of(st.binary(max_size=300), mixtures, plausible))
@example(b"a" + b"[" * 3000 + b"]" * 3000)
@example(b"%" * 5000)
@example(b"&" * 65536)
def test_any_bytes_are_read_or_refused_by_name(body: bytes) -> None:
    payload.event(body)
    try:
        scanned = scan(body)
        seen = call(scanned)
    except (TooLarge, Unreadable):
        return
    payload.event(seen.form)
    stored = [seen.event or "", seen.workflow_id or "", seen.document_ref or ""]
    assert "\0" not in "".join(stored)
    "".join(stored).encode()


@given(st.one_of(mixtures, plausible))
def test_the_short_way_to_token_and_document_finds_what_the_long_way_does(body: bytes) -> None:
    scanned = scan(body)
    tree = payload.event(body)
    token = at(tree, "auth", "application_token")
    short = scanned.token
    if short is not None:
        assert short.decode("utf-8", "replace").replace("\0", "\ufffd") == token
    else:
        assert not isinstance(token, str)
    try:
        seen = call(scanned)
    except (TooLarge, Unreadable):
        return
    if seen.event is not None:
        data = tree.get("data")
        long = document_of_event(seen.event, data if isinstance(data, dict) else {})
        assert seen.document_ref == (None if long is None else long.ref)


SECRET = b"s3cr3t-Zx9"


def spelt(text: bytes, choices: list[int]) -> bytes:
    """Percent-encode some of the letters, so that one name has many spellings."""
    return b"".join(
        b"%%%02x" % byte if choice == 1 or byte in b"&=%+" else bytes((byte,))
        for byte, choice in zip(text, choices * len(text), strict=False)
    )


token_names = st.sampled_from(
    [
        *b"access_token refresh_token event_token Access.Token client_secret".split(),
        *b"data[BOT][5][access_token] properties[refresh_token] a[AUTH][client]".split(),
        *b"auth AUTH[x] auth.x auth[x auth[ [auth][x]".split(),
        *(b"auth x", b" auth[x]"),
    ]
)
auth_names = st.builds(
    lambda lead, key, rest: lead + b"auth[" + key + b"]" + rest,
    st.sampled_from([b"", b" ", b"   "]),
    st.binary(max_size=12).filter(lambda key: key not in (b"member_id", b"domain"))
    | st.sampled_from([b"access_token", b"application_token", b"expires", b"Domain", b""]),
    st.sampled_from([b"", b"[]", b"[x]", b"x", b"[", b"\0", b" "]),
)


@given(
    st.lists(
        st.tuples(auth_names | token_names, st.lists(st.integers(0, 3), min_size=1)), max_size=6
    )
)
def test_no_secret_survives_in_what_is_stored(secrets: list[tuple[bytes, list[int]]]) -> None:
    pairs = [spelt(name, choices) + b"=" + SECRET for name, choices in secrets]
    body = b"&".join([b"event=X", *pairs, b"auth[domain]=d.example", b"auth[member_id]=m"])
    form = read(body).form
    assert SECRET not in form
    assert form == b"event=X&auth[domain]=d.example&auth[member_id]=m"


def test_a_pair_that_php_would_not_see_is_not_stored() -> None:
    assert read(b"event=X&=1&&[x]=2&%00ts=3&+=4&ts").form == b"event=X&ts"


def test_names_that_only_resemble_those_that_are_needed_are_not_stored() -> None:
    body = b"event=X&events=1&auth[domains]=2&data[FIELDS][IDS]=3&data[x][FIELDS][ID]=4&Ts=5"
    assert read(body).form == b"event=X"
