"""Asks what the rows of the list of running workflows hold, and how its pages join."""

from datetime import timedelta

from responder.bitrix24.client.answers import Command
from responder.bitrix24.lists.workflow_row import (
    INSTANCE_FIELDS,
    instances,
)
from responder.bitrix24.probe.question import (
    CannotAskError,
    Heard,
    Question,
    Verdict,
    differs,
    expected,
    whether,
)
from responder.bitrix24.probe.questions.about_filters import LIST, running
from responder.bitrix24.probe.questions.value_kinds import has_offset, instant

PAGE = 50
FAR = 100_000  # behind the end of any list that can be read
_A_LONG_HIT = timedelta(minutes=10)  # a row is written when its first run ends


def _whole(heard: Heard) -> Verdict:
    rows = running(heard)
    lacking = {name for row in rows for name in INSTANCE_FIELDS if name not in row}
    return whether(not lacking, "all of them", f"without {', '.join(sorted(lacking))}")


def _texts(heard: Heard) -> Verdict:
    odd = {
        name
        for row in running(heard)
        for name in INSTANCE_FIELDS
        if name in row and not isinstance(row[name], str | None)
    }
    return whether(not odd, "text or null", f"something else in {', '.join(sorted(odd))}")


def _in_order(heard: Heard) -> Verdict:
    ids = [str(row.get("ID")).lower() for row in running(heard)]
    alike = [one for one in ids if len(one) == len(ids[0])]
    if len(alike) < 2:
        raise CannotAskError("too few workflows run")
    return whether(alike == sorted(alike), "ascending", "in another order")


def _from_the_second(heard: Heard) -> dict[str, Command]:
    if len(running(heard)) < 2:
        raise CannotAskError("only one workflow runs")
    return {"from_the_second": _page(1)}


def _page(start: int) -> Command:
    asked = instances({})
    return Command(asked.method, {**asked.params, "start": start})


def _offsets_are_exact(heard: Heard) -> Verdict:
    lasting = heard.lasting(LIST, "ID")
    first = [i for row in running(heard) if (i := str(row.get("ID"))) in lasting]
    second = [i for row in heard["from_the_second"].rows if (i := str(row.get("ID"))) in lasting]
    if len(first) < 2 or not second:
        raise CannotAskError("the list changed meanwhile")
    return whether(second[0] == first[1], "from the second row on", "from another row on")


def _end_of_page(heard: Heard) -> Verdict:
    page = heard.sample[LIST]
    count, total = len(running(heard)), page.answer.total
    if total is None:
        return differs("no total", "no_total")
    follows = count if count < total else None
    agrees = page.answer.next == follows and (total <= PAGE) is (count == total)
    return whether(agrees, "`total` and `next` agree", "`total` and `next` contradict the rows")


def _the_end(heard: Heard) -> dict[str, Command]:
    total = heard.sample[LIST].answer.total
    running(heard)
    if total is None:
        raise CannotAskError("the list has no total")
    return {"last": _page(max(0, total - 1)), "at_the_end": _page(total)}


def _nothing_follows(heard: Heard) -> Verdict:
    """Rows that began since the sample may have come, but none from long before it."""
    began, last = instant(heard.sample["time"].value), heard.again.get(LIST)
    if began is None:
        raise CannotAskError("the portal's clock could not be read", failed=True)
    total = heard.sample[LIST].answer.total or 0
    if last is not None and (last.answer.total or 0) > total:
        raise CannotAskError("the list grew meanwhile")
    rows, last_row = heard["at_the_end"].rows, heard["last"].rows[:1]
    if last_row and last_row[0].get("ID") in [row.get("ID") for row in rows]:
        return expected("the last page again", "again")
    instants = [instant(row.get("STARTED")) for row in rows]
    older = sum(at is not None and at < began - _A_LONG_HIT for at in instants)
    return whether(not older, "nothing", f"{older} rows that had begun before")


def _far_behind(_heard: Heard) -> dict[str, Command]:
    return {"far_behind": _page(FAR)}


def _is_empty_far_behind(heard: Heard) -> Verdict:
    running(heard)
    reply = heard["far_behind"]
    if reply.code is not None:
        return differs("the portal refused it", "refused")
    return whether(not reply.rows, "no row", f"{len(reply.rows)} rows again")


def _with_offsets(heard: Heard) -> Verdict:
    values = [
        row[name] for row in running(heard) for name in ("STARTED", "MODIFIED") if name in row
    ]
    without = [value for value in values if not has_offset(value)]
    return whether(not without, "ISO 8601 with an offset", f"{len(without)} otherwise")


def _in_the_past(heard: Heard) -> Verdict:
    clock = instant(heard.sample["time"].value)
    rows = [*running(heard), *heard["last"].rows]  # the oldest, and the newest
    instants = [at for row in rows if (at := instant(row.get("STARTED")))]
    if clock is None or not instants:
        raise CannotAskError("no instant could be read")
    ahead = sum((at - clock).total_seconds() > 120 for at in instants)
    return whether(not ahead, "all of them", f"{ahead} begin after it")


QUESTIONS = (
    Question(
        id="rows-have-all-fields",
        section="6.3",
        asks="Does every row have each of the fields that were selected?",
        expected="all nine",
        leads_to="Rules about them are unknown, and a row without its document is left alone.",
        sample=(LIST,),
        judge=_whole,
        like={"differs": ("absent_fields", frozenset({"OWNED_UNTIL"}))},
    ),
    Question(
        id="rows-hold-text",
        section="6.3",
        asks="Is each value of a row text or null, ids among them?",
        expected="text or null",
        leads_to="A workflow whose id is no text is left alone: nothing would be stopped.",
        sample=(LIST,),
        judge=_texts,
        like={"differs": ("ids_as_numbers", True)},
    ),
    Question(
        id="rows-are-in-order",
        section="6.3",
        asks="Does the list come in the order of the ids?",
        expected="ascending",
        leads_to="A long list cannot be read: the sweep gives up.",
        sample=(LIST,),
        judge=_in_order,
        like={"differs": ("ignores_order", True)},
    ),
    Question(
        id="offsets-are-exact",
        section="6.3",
        asks="Does a page begin at the very row that `start` names?",
        expected="from the second row on, for start=1",
        leads_to="A long list cannot be read: the sweep gives up.",
        sample=(LIST,),
        commands=_from_the_second,
        judge=_offsets_are_exact,
        like={"differs": ("rounds_start", True)},
    ),
    Question(
        id="total-and-next-agree",
        section="6.3",
        asks="Do `total` and `next` say how many rows there are, and whether more follow?",
        expected="`total` always, `next` while more rows follow",
        leads_to="A list that contradicts itself is not believed: nothing is stopped.",
        sample=(LIST,),
        judge=_end_of_page,
        like={"no_total": ("no_totals", True)},
    ),
    Question(
        id="nothing-behind-the-end",
        section="6.3",
        asks="Is there nothing behind the row that `total` makes the last?",
        expected="no row that ran before",
        leads_to="Rows would be missed, and their workflows taken for gone in the log.",
        sample=(LIST, "time"),
        commands=_the_end,
        judge=_nothing_follows,
        crucial=True,
        like={"differs": ("counts_short", True)},
    ),
    Question(
        id="far-page-is-empty",
        section="6.3",
        asks="Is a page far behind the end empty?",
        expected="no row",
        leads_to="Pages that are asked for on trust would seem to be others: more requests.",
        sample=(LIST,),
        commands=_far_behind,
        judge=_is_empty_far_behind,
        like={"differs": ("repeats_last_page", True)},
    ),
    Question(
        id="instants-have-offsets",
        section="6.3",
        asks="Are STARTED and MODIFIED instants with an offset?",
        expected="ISO 8601 with an offset",
        leads_to="Rules about ages are unknown, and do not act.",
        sample=(LIST,),
        judge=_with_offsets,
        like={"differs": ("no_offsets", True)},
    ),
    Question(
        id="started-in-the-past",
        section="6.3",
        asks="Had every workflow started by the portal's own clock?",
        expected="all of them",
        leads_to="Ages would be wrong by hours, and rules about ages act too early or late.",
        sample=(LIST, "time"),
        commands=_the_end,
        judge=_in_the_past,
        crucial=True,
        like={"differs": ("starts_ahead", True)},
    ),
)
