"""Bodies as Bitrix24 posts them, and as it never would."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus

import pytest

from responder.bitrix24 import documents, payload
from responder.bitrix24.payload import Call, TooLarge, Unreadable, call, scan
from tests.bitrix24.nested import document_of_event

PAYLOADS = Path(__file__).parents[1] / "payloads"

# Event by event, the document that the portal's documentation says it speaks of.
DOCUMENTS: dict[str, str | None] = {
    "ONCALENDARENTRYADD": None,
    "ONCALENDARENTRYDELETE": None,
    "ONCALENDARENTRYUPDATE": None,
    "ONCALENDARSECTIONADD": None,
    "ONCALENDARSECTIONDELETE": None,
    "ONCALENDARSECTIONUPDATE": None,
    "ONCRMACTIVITYADD": None,
    "ONCRMACTIVITYDELETE": None,
    "ONCRMACTIVITYUPDATE": None,
    "ONCRMADDRESSREGISTER": None,
    "ONCRMADDRESSUNREGISTER": None,
    "ONCRMBANKDETAILADD": None,
    "ONCRMBANKDETAILDELETE": None,
    "ONCRMBANKDETAILUPDATE": None,
    "ONCRMCOMPANYADD": "company:2917",
    "ONCRMCOMPANYDELETE": "company:2917",
    "ONCRMCOMPANYUPDATE": "company:2917",
    "ONCRMCOMPANYUSERFIELDADD": None,
    "ONCRMCOMPANYUSERFIELDDELETE": None,
    "ONCRMCOMPANYUSERFIELDSETENUMVALUES": None,
    "ONCRMCOMPANYUSERFIELDUPDATE": None,
    "ONCRMCONTACTADD": "contact:89",
    "ONCRMCONTACTDELETE": "contact:89",
    "ONCRMCONTACTUPDATE": "contact:82",
    "ONCRMCONTACTUSERFIELDADD": None,
    "ONCRMCONTACTUSERFIELDDELETE": None,
    "ONCRMCONTACTUSERFIELDSETENUMVALUES": None,
    "ONCRMCONTACTUSERFIELDUPDATE": None,
    "ONCRMCURRENCYADD": None,
    "ONCRMCURRENCYDELETE": None,
    "ONCRMCURRENCYUPDATE": None,
    "ONCRMDEALADD": "deal:6641",
    "ONCRMDEALDELETE": "deal:1765",
    "ONCRMDEALMOVETOCATEGORY": "deal:6675",
    "ONCRMDEALRECURRINGADD": None,
    "ONCRMDEALRECURRINGDELETE": None,
    "ONCRMDEALRECURRINGEXPOSE": None,
    "ONCRMDEALRECURRINGUPDATE": None,
    "ONCRMDEALUPDATE": "deal:759",
    "ONCRMDEALUSERFIELDADD": None,
    "ONCRMDEALUSERFIELDDELETE": None,
    "ONCRMDEALUSERFIELDSETENUMVALUES": None,
    "ONCRMDEALUSERFIELDUPDATE": None,
    "ONCRMDOCUMENTGENERATORDOCUMENTADD": None,
    "ONCRMDOCUMENTGENERATORDOCUMENTDELETE": None,
    "ONCRMDOCUMENTGENERATORDOCUMENTUPDATE": None,
    "ONCRMDYNAMICITEMADD": "item_1220:22",
    "ONCRMDYNAMICITEMDELETE": "item_1220:23",
    "ONCRMDYNAMICITEMUPDATE": "item_1220:24",
    "ONCRMLEADADD": "lead:1000983",
    "ONCRMLEADDELETE": "lead:1000983",
    "ONCRMLEADUPDATE": "lead:1000983",
    "ONCRMLEADUSERFIELDADD": None,
    "ONCRMLEADUSERFIELDDELETE": None,
    "ONCRMLEADUSERFIELDSETENUMVALUES": None,
    "ONCRMLEADUSERFIELDUPDATE": None,
    "ONCRMQUOTEADD": "quote:71",
    "ONCRMQUOTEDELETE": "quote:71",
    "ONCRMQUOTEUPDATE": "quote:71",
    "ONCRMQUOTEUSERFIELDADD": None,
    "ONCRMQUOTEUSERFIELDDELETE": None,
    "ONCRMQUOTEUSERFIELDSETENUMVALUES": None,
    "ONCRMQUOTEUSERFIELDUPDATE": None,
    "ONCRMREQUISITEADD": None,
    "ONCRMREQUISITEDELETE": None,
    "ONCRMREQUISITEUPDATE": None,
    "ONCRMREQUISITEUSERFIELDADD": None,
    "ONCRMREQUISITEUSERFIELDDELETE": None,
    "ONCRMREQUISITEUSERFIELDSETENUMVALUES": None,
    "ONCRMREQUISITEUSERFIELDUPDATE": None,
    "ONCRMTIMELINECOMMENTADD": None,
    "ONCRMTIMELINECOMMENTDELETE": None,
    "ONCRMTIMELINECOMMENTUPDATE": None,
    "ONCRMTYPEADD": None,
    "ONCRMTYPEDELETE": None,
    "ONCRMTYPEUPDATE": None,
    "ONCRMTYPEUSERFIELDADD": None,
    "ONCRMTYPEUSERFIELDDELETE": None,
    "ONCRMTYPEUSERFIELDSETENUMVALUES": None,
    "ONCRMTYPEUSERFIELDUPDATE": None,
    "ONEXTERNALCALLBACKSTART": None,
    "ONEXTERNALCALLSTART": None,
    "ONIMCOMMANDADD": None,
    "ONLIVEFEEDPOSTADD": None,
    "ONLIVEFEEDPOSTDELETE": None,
    "ONLIVEFEEDPOSTUPDATE": None,
    "ONOFFLINEEVENT": None,
    "ONPROPERTYVALUEDELETED": None,
    "ONPROPERTYVALUEENTITYSAVED": None,
    "ONSALEBEFOREORDERDELETE": None,
    "ONSALEORDERSAVED": None,
    "ONSESSIONFINISH": None,
    "ONSESSIONSTART": None,
    "ONSONETGROUPADD": None,
    "ONSONETGROUPDELETE": None,
    "ONSONETGROUPUPDATE": None,
    "ONTASKADD": "task:123",
    "ONTASKCOMMENTADD": "task:555",
    "ONTASKCOMMENTDELETE": "task:555",
    "ONTASKCOMMENTUPDATE": "task:555",
    "ONTASKDELETE": "task:123",
    "ONTASKUPDATE": "task:123",
    "ONUSERADD": None,
}

WITHOUT_TOKEN = {"ONCRMLEADADD", "ONCRMLEADUSERFIELDUPDATE", "ONCRMTYPEUSERFIELDUPDATE"}

every_payload = pytest.mark.parametrize("name", DOCUMENTS)
both_spellings = pytest.mark.parametrize("brackets", ["encoded", "raw"])


def body_of(name: str, brackets: str = "encoded") -> bytes:
    body = (PAYLOADS / f"{name}.txt").read_bytes()
    if brackets == "raw":
        return body.replace(b"%5B", b"[").replace(b"%5D", b"]")
    return body


def pairs_of(form: bytes) -> dict[str, str]:
    return dict(parse_qsl(form.decode(), keep_blank_values=True))


def form_of(**pairs: str) -> bytes:
    """Write pairs as a form; a double underscore stands for a level of brackets."""
    names = {name: "][".join(name.split("__")).replace("]", "", 1) for name in pairs}
    closed = {name: text + "]" if "[" in text else text for name, text in names.items()}
    return "&".join(f"{quote(closed[n])}={quote_plus(v)}" for n, v in pairs.items()).encode()


def flattened(tree: dict[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict):
            yield from flattened(value, name)
        else:
            assert isinstance(value, str)
            yield name, value


def at(tree: object, *path: str) -> object:
    for part in path:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def read(body: bytes) -> Call:
    return call(scan(body))


def ref_of(body: bytes) -> str | None:
    return read(body).document_ref


# The documentation's own samples


def test_every_sample_is_in_the_table() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.txt")} == set(DOCUMENTS)
    assert len(DOCUMENTS) == 103


@every_payload
@both_spellings
def test_the_token_and_the_member_are_found_where_there_are_any(name: str, brackets: str) -> None:
    scanned = scan(body_of(name, brackets))
    pairs = pairs_of(body_of(name))
    assert (scanned.token is None) == (name in WITHOUT_TOKEN)
    if scanned.token is not None and scanned.member_id is not None:
        assert scanned.token.decode() == pairs["auth[application_token]"]
        assert scanned.member_id.decode() == pairs["auth[member_id]"]


@every_payload
@both_spellings
def test_a_sample_is_an_event_and_speaks_of_the_document_in_the_table(
    name: str, brackets: str
) -> None:
    seen = read(body_of(name, brackets))
    assert (seen.shape, seen.event, seen.workflow_id) == ("event", name, None)
    assert seen.document_ref == DOCUMENTS[name]


@every_payload
@both_spellings
def test_what_is_stored_of_a_sample_holds_no_secret(name: str, brackets: str) -> None:
    form = read(body_of(name, brackets)).form
    for pair, value in pairs_of(body_of(name)).items():
        if "token" in pair:
            assert value
            assert value.encode() not in form
    about_auth = {pair for pair in pairs_of(form) if "auth" in pair.lower().split("[")[0]}
    assert about_auth <= {"auth[member_id]", "auth[domain]"}


NEEDED = {"event", "ts", "auth[member_id]", "auth[domain]"} | {
    path[0] + "".join(f"[{part}]" for part in path[1:]) for path in documents.PATHS
}


@every_payload
@both_spellings
def test_of_a_sample_is_stored_what_tells_event_document_time_and_portal(
    name: str, brackets: str
) -> None:
    kept = {pair: value for pair, value in pairs_of(body_of(name)).items() if pair in NEEDED}
    form = read(body_of(name, brackets)).form
    tree = payload.event(form)
    assert dict(flattened(tree)) == kept
    assert tree["event"]
    data = tree.get("data", {})
    assert isinstance(data, dict)
    document = document_of_event(name, data)
    assert (document.ref if document else None) == DOCUMENTS[name]
    assert call(scan(form)).form == form


def test_what_is_stored_keeps_its_bytes_and_their_order() -> None:
    body = b"event=X&auth%5Baccess_token%5D=s&ts=%zz+%C3%A9&a=1&auth%5Bdomain%5D=d.example&ts=%2f"
    assert read(body).form == b"event=X&ts=%zz+%C3%A9&auth%5Bdomain%5D=d.example&ts=%2f"


@pytest.mark.parametrize("name", [b"ts", b"auth[domain]", b"data[FIELDS][ID]", b"document_id[]"])
def test_no_name_is_a_way_to_fill_the_disk(name: bytes) -> None:
    few = b"&".join([b"event=ONX", *[name + b"=1"] * 10])
    many = b"&".join([few, *[name + b"=" + b"x" * 500] * 50])
    assert read(few).form == few
    assert read(many).form == b""


# Robots

ROBOT = {
    "workflow_id": "68c9331a5f3a55.48452815",
    "code": "stop_it",
    "document_id__0": "crm",
    "document_id__1": "CCrmDocumentDeal",
    "document_id__2": "DEAL_759",
    "document_type__0": "crm",
    "document_type__1": "CCrmDocumentDeal",
    "document_type__2": "DEAL",
    "event_token": "68c9331a5f3a55.48452815|A1_2_3_4|99.signature",
    "properties__reason": "тест",
    "timeout_duration": "0",
    "ts": "1757360922",
    "auth__access_token": "access-secret",
    "auth__refresh_token": "refresh-secret",
    "auth__domain": "portal.example",
    "auth__member_id": "member",
    "auth__application_token": "application-secret",
}


def test_a_robot_names_a_workflow_and_its_document() -> None:
    scanned = scan(form_of(**ROBOT))
    seen = call(scanned)
    assert scanned.token == b"application-secret"
    assert (seen.shape, seen.event) == ("robot", None)
    assert seen.workflow_id == "68c9331a5f3a55.48452815"
    assert seen.document_ref == "deal:759"


def test_what_is_stored_of_a_robots_call_holds_no_secret() -> None:
    form = read(form_of(**ROBOT)).form
    for secret in (b"-secret", b"signature", b"event_token"):
        assert secret not in form
    tree = payload.event(form)
    assert tree["workflow_id"] == "68c9331a5f3a55.48452815"
    assert tree["auth"] == {"domain": "portal.example", "member_id": "member"}
    assert "properties" not in tree


def test_a_robot_on_a_task_speaks_of_the_task() -> None:
    body = form_of(
        workflow_id="68c9331a5f3a55.48452815",
        document_id__0="tasks",
        document_id__1="Bitrix\\Tasks\\Integration\\Bizproc\\Document\\Task",
        document_id__2="49728",
    )
    assert ref_of(body) == "task:49728"


@pytest.mark.parametrize(
    "names",
    [
        ("document_id[0]", "document_id[1]", "document_id[2]"),
        ("document_id%5B0%5D", "document_id%5B1%5D", "document_id%5B2%5D"),
        ("document_id[]", "document_id[]", "document_id[]"),
        ("document_id%5B%5D", "document_id%5B%5D", "document_id%5B%5D"),
        ("document_id[0]", "document_id[]", "document_id[]"),
    ],
)
def test_the_webhook_robot_names_a_document_alone(names: tuple[str, str, str]) -> None:
    values = ("crm", "CCrmDocumentDeal", "DEAL_759")
    body = "&".join(f"{name}={value}" for name, value in zip(names, values, strict=True)).encode()
    scanned = scan(body)
    seen = call(scanned)
    assert scanned.token is None
    assert (seen.shape, seen.event, seen.workflow_id) == ("webhook_robot", None, None)
    assert seen.document_ref == "deal:759"
    assert seen.form == body


def test_a_robot_on_a_list_speaks_of_a_document_that_rules_cannot_look_into() -> None:
    body = b"document_id[]=lists&document_id[]=BizprocDocument&document_id[]=777"
    assert ref_of(body) == "lists|BizprocDocument|777"


TRIPLE = b"document_id[0]=crm&document_id[1]=CCrmDocumentDeal&document_id[2]=DEAL_5"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&&&",
        b"=",
        b"nonsense",
        b"auth[application_token]=right-but-nothing-else",
        b"event=",
        b"event[]=ONCRMDEALUPDATE",
        b"event=ONCRMDEALUPDATE&event[x]=1",
        b"event=" + b"E" * 256,
        b"workflow_id=65e5a449e8f135.21284909",
        b"document_id=DEAL_5",
        b"document_id[0]=crm&document_id[1]=CCrmDocumentDeal",
        b"document_id[0]=crm&document_id[1]=CCrmDocumentDeal&document_id[2]=",
        b"document_id[0]=crm&document_id[1]=a|b&document_id[2]=5",
        b"document_id[0]=a|b&document_id[1]=CCrm&document_id[2]=5",
        b"document_id[0]=crm&document_id[1]=CCrm&document_id[2]=" + b"5" * 256,
        TRIPLE + b"&document_id[2][x]=5",
        TRIPLE + b"&workflow_id=",
        TRIPLE + b"&workflow_id[]=65e5a449e8f135.21284909",
        TRIPLE + b"&workflow_id=" + b"6" * 256,
        b'{"event": "ONCRMDEALUPDATE"}',
    ],
)
def test_a_body_that_is_none_of_the_shapes_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_an_event_that_names_a_workflow_and_a_document_id_is_an_event() -> None:
    seen = read(b"event=ONCRMDEALUPDATE&data[FIELDS][ID]=7&workflow_id=x&" + TRIPLE)
    assert (seen.shape, seen.workflow_id) == ("event", None)
    assert seen.document_ref == "deal:7"


# Limits


@pytest.mark.parametrize("padding", [b"", b"&", b"&&&&"])
def test_two_hundred_pairs_are_read_and_one_more_is_too_large(padding: bytes) -> None:
    pairs = [b"event=X", *(b"data[%d]=1" % n for n in range(199))]
    assert read(b"&".join(pairs) + padding).event == "X"
    with pytest.raises(TooLarge):
        scan(b"&".join([*pairs, b"x=1"]) + padding)


def test_five_brackets_are_read_and_six_are_too_large() -> None:
    assert read(b"event=X&a[b][c][d][e][f]=1").event == "X"
    for deep in (b"a[b][c][d][e][f][g]=1", b"a[][][][][][]=1", b"a" + b"[b]" * 5000 + b"=1"):
        scanned = scan(b"event=X&auth[application_token]=abc&" + deep)
        assert scanned.token == b"abc"
        with pytest.raises(TooLarge):
            call(scanned)


def test_brackets_that_nest_nothing_are_no_levels() -> None:
    assert read(b"event=X&a" + b"[" * 5000).event == "X"
    assert read(b"event=X&a=" + b"[b]" * 5000).event == "X"


def test_strangers_names_cannot_fill_the_memory() -> None:
    for start in range(0, 4000, 200):
        scan(b"&".join(b"name%d=1" % n for n in range(start, start + 200)))
        scan(b"n" * 60_000 + b"%d=1" % start)
    known = payload._KNOWN_NAMES
    assert len(known) <= 1024
    assert max(map(len, known)) <= 128
    assert ref_of(body_of("ONCRMDEALUPDATE")) == "deal:759"
