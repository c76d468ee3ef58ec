"""Asks how the list of running workflows filters its rows."""

from collections.abc import Iterator, Mapping

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Command
from responder.bitrix24.lists.workflow_row import (
    instance_of_id,
    instances,
    instances_on,
)
from responder.bitrix24.probe.question import (
    CannotAskError,
    Heard,
    Question,
    Reply,
    Verdict,
    differs,
    expected,
    whether,
)

LIST = "workflows"
NOBODYS_ID = "00000000000000.00000000"  # no workflow can have it: its time is 1970
PAGE = 50
FAR = 100_000  # behind the end of any list that can be read
_NONE = "no workflow runs"
_IN_THE_FUTURE = "2100-01-01T00:00:00+00:00"
_LARGEST = 3  # so many samples: one may end at any moment

Row = Mapping[str, object]


def running(heard: Heard) -> list[Row]:
    """Return the rows of the sample; raise CannotAskError where nothing runs."""
    return heard.some(LIST, _NONE)


def _samples(rows: list[Row]) -> list[Row]:
    """Return the first row, the one in the middle, and the last."""
    return [rows[place] for place in sorted({0, len(rows) // 2, len(rows) - 1})]


def _by_ids(heard: Heard) -> dict[str, Command]:
    return {
        f"by_id_{place}": instance_of_id(str(row.get("ID")))
        for place, row in enumerate(_samples(running(heard)))
    }


def _ids(reply: Reply) -> set[str]:
    return {str(row.get("ID")) for row in reply.rows}


def _finds_by_id(heard: Heard) -> Verdict:
    lasting = heard.lasting(LIST, "ID")
    found = {
        str(row.get("ID")): _ids(heard[f"by_id_{place}"])
        for place, row in enumerate(_samples(running(heard)))
    }
    asked = {key: ids for key, ids in found.items() if key in lasting}
    if not asked:
        raise CannotAskError("the workflows that were asked for ended meanwhile")
    missed = sum(key not in ids for key, ids in asked.items())
    return whether(
        not missed, "each had its row", f"{missed} of {len(asked)} did not find their own row"
    )


def _kinds(heard: Heard) -> Iterator[Row]:
    """Yield a row of each entity, a few at most; those with a backslash first."""
    seen: dict[object, Row] = {}
    for row in running(heard):
        if all(isinstance(row.get(name), str) for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID")):
            seen.setdefault(row["ENTITY"], row)
    yield from sorted(seen.values(), key=lambda row: "\\" not in str(row["ENTITY"]))[:_LARGEST]


def _on_documents(heard: Heard) -> dict[str, Command]:
    found = {}
    for place, row in enumerate(_kinds(heard)):
        named = (str(row[name]) for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID"))
        found[f"on_document_{place}"] = instances_on(documents.from_triple(*named))
    return found


def _finds_by_document(heard: Heard) -> Verdict:
    lasting = heard.lasting(LIST, "ID")
    asked = missed = 0
    for place, sample in enumerate(_kinds(heard)):
        ids = _ids(heard[f"on_document_{place}"])
        same = [row for row in running(heard) if _triple(row) == _triple(sample)]
        its_own = {str(row.get("ID")) for row in same} & lasting
        asked += bool(its_own)
        missed += bool(its_own - ids)
    if not asked:
        raise CannotAskError("no row names a document whose workflow still runs")
    return whether(
        not missed,
        "each document had its workflows",
        f"{missed} of {asked} documents did not have theirs",
    )


def _triple(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID"))


def _nobodys(_heard: Heard) -> dict[str, Command]:
    return {"of_nobody": instance_of_id(NOBODYS_ID)}


def _is_filtered(heard: Heard) -> Verdict:
    rows = heard["of_nobody"].rows
    running(heard)
    return whether(not rows, "no row", f"{len(rows)} rows of other workflows")


def _like(heard: Heard) -> dict[str, Command]:
    names = (str(row.get("DOCUMENT_ID")) for row in running(heard))
    name = next((one for one in names if len(one) > 3 and "\\" not in one), None)
    if name is None:
        raise CannotAskError("no document has a name that is long enough")
    return {"like": instances({"DOCUMENT_ID": f"{name[:2]}_{name[3:]}"})}


def _compares_like(heard: Heard) -> Verdict:
    return whether(bool(heard["like"].rows), "`_` stands for any character", "`_` is itself")


def _backslash(heard: Heard) -> dict[str, Command]:
    entity = next((e for row in running(heard) if "\\" in (e := str(row.get("ENTITY")))), None)
    if entity is None:
        raise CannotAskError("nothing runs on a document whose entity has a backslash")
    return {"backslash": _filtered({"ENTITY": entity})}


def _filtered(wanted: Mapping[str, object]) -> Command:
    """Return the command with a filter that `instances` would not send."""
    asked = instances({})
    return Command(asked.method, {**asked.params, "FILTER": dict(wanted)})


def _backslash_finds_nothing(heard: Heard) -> Verdict:
    found = len(heard["backslash"].rows)
    return whether(not found, "no row", f"{found} rows")


def _odd_keys(key: str) -> dict[str, Command]:
    return {"odd_key": _filtered({key: NOBODYS_ID})}


def _drops(heard: Heard) -> Verdict:
    running(heard)
    reply = heard["odd_key"]
    if reply.code is not None:
        return differs("the portal refused the key", "refused")
    return whether(bool(reply.rows), "it was dropped: all rows came", "it was understood: no row")


def _several(heard: Heard) -> dict[str, Command]:
    rows = _samples(running(heard))
    if len(rows) < 2:
        raise CannotAskError("only one workflow runs")
    return {"several": _filtered({"ID": [row.get("ID") for row in rows]})}


def _finds_several(heard: Heard) -> Verdict:
    wanted = {str(row.get("ID")) for row in _samples(running(heard))} & heard.lasting(LIST, "ID")
    found = _ids(heard["several"])
    return whether(wanted <= found, "all of them", f"{len(wanted - found)} were missing")


def _started_before(heard: Heard) -> dict[str, Command]:
    running(heard)
    return {"started": _filtered({"<STARTED": _IN_THE_FUTURE})}


def _filters_started(heard: Heard) -> Verdict:
    found = bool(heard["started"].rows)
    return expected("all rows", "new") if found else expected("no row, as in older portals", "old")


QUESTIONS = (
    Question(
        id="id-filter-finds-its-row",
        section="6.3",
        asks="Does the list of workflows, asked for one id, have that workflow?",
        expected="its row",
        leads_to="A workflow that runs would be taken for gone, and the log would say killed.",
        sample=(LIST,),
        commands=_by_ids,
        judge=_finds_by_id,
        crucial=True,
        like={"differs": ("blind_filters", frozenset({"ID"}))},
    ),
    Question(
        id="document-filter-finds-its-workflows",
        section="6.3",
        asks="Does the list, asked for a document's module and id, have its workflows?",
        expected="all that run on the document",
        leads_to="Workflows would be overlooked, or taken for gone in the log.",
        sample=(LIST,),
        commands=_on_documents,
        judge=_finds_by_document,
        crucial=True,
        like={"differs": ("blind_filters", frozenset({"DOCUMENT_ID"}))},
    ),
    Question(
        id="filter-is-applied",
        section="6.3",
        asks="Does the list, asked for an id that no workflow has, stay empty?",
        expected="no row",
        leads_to="Every row is compared again, so nothing is mistaken; but each reading is long.",
        sample=(LIST,),
        commands=_nobodys,
        judge=_is_filtered,
        like={"differs": ("drop_filters", True)},
    ),
    Question(
        id="filter-compares-like",
        section="6.3",
        asks="Does a filter without operator compare by LIKE, with `_` for any character?",
        expected="the row that has another character there",
        leads_to="Nothing: comparing exactly is what one would wish for.",
        sample=(LIST,),
        commands=_like,
        judge=_compares_like,
        like={"differs": ("exact_filters", True)},
    ),
    Question(
        id="backslash-finds-nothing",
        section="6.3",
        asks="Does a filter by an ENTITY with a backslash miss its own rows?",
        expected="no row",
        leads_to="Nothing: such a filter is never sent.",
        sample=(LIST,),
        commands=_backslash,
        judge=_backslash_finds_nothing,
        like={"differs": ("finds_backslashes", True)},
    ),
    Question(
        id="unknown-filter-key-is-dropped",
        section="6.3",
        asks="Is a filter key that the list does not know dropped without a word?",
        expected="all rows, unfiltered",
        leads_to="Nothing: no such key is sent. A list that refuses it is the safer one.",
        sample=(LIST,),
        commands=lambda _heard: _odd_keys("NO_SUCH_FIELD"),
        judge=_drops,
        like={"refused": ("refuses_unknown_keys", True)},
    ),
    Question(
        id="equals-operator-is-dropped",
        section="6.3",
        asks="Is the operator `=`, which the documentation names, dropped?",
        expected="all rows, unfiltered",
        leads_to="Nothing: it is not sent. Where it is understood, it could be.",
        sample=(LIST,),
        commands=lambda _heard: _odd_keys("=ID"),
        judge=_drops,
        like={"differs": ("knows_equals", True)},
    ),
    Question(
        id="several-ids-are-found",
        section="6.3",
        asks="Does a filter by a list of ids find each of them?",
        expected="all of them",
        leads_to="Nothing: ids are asked for one by one.",
        sample=(LIST,),
        commands=_several,
        judge=_finds_several,
        like={"differs": ("first_of_several", True)},
    ),
    Question(
        id="started-filter",
        section="6.3",
        asks="Does a filter `<STARTED` with an ISO instant find rows?",
        expected="all rows (new portals) or none (old ones)",
        leads_to="Nothing: it is not sent.",
        sample=(LIST,),
        commands=_started_before,
        judge=_filters_started,
        like={"old": ("kind", "on_premise")},
    ),
)
