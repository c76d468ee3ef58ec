"""Lists the words that people use for the language's own, which come before the nearest letters.

A word that stands here with an empty text has no like: no suggestion is better than one that says
the opposite (`enabled` is not `disabled`). What is to be said instead stands in `REMARKS`.
"""

from collections.abc import Iterable, Mapping

from responder.rules.load.suggestions import russian
from responder.rules.yaml_positions import nearest

Synonyms = Mapping[str, str]


def words(**rows: str) -> Synonyms:
    """Return the right word for each of the words that stand for it."""
    return {word: right for right, called in rows.items() for word in called.split()}


KEYS: Synonyms = {
    **words(
        id="name rule key rule_id",
        because="reason why description comment message explanation title",
        when="trigger triggers on event events schedule at cron",
        unless="except exception exceptions unless_any excluding but_not if_not",
        then="action actions do effect",
        wait="delay grace after pause wait_for",
        during="hours calendar working_hours office_hours",
        per="group_by per_group",
        limit="limits max throttle",
        tell="notify inform notifications notification notify_after",
        warn="warning warnings announce alert notify_before",
        portals="portal",
        expires="until valid_until expires_at ends",
        every_template="all_templates any_template every_templates",
        timezone="tz time_zone zone",
        lists="list",
        calendars="calendar",
        rules="rule policies policy",
        tests="test cases",
        days="weekdays",
        holidays="holiday days_off",
        per_hour="hourly per_hours hour",
        per_document="per_doc per_deal document deal",
        per_run="max maximum at_once per_sweep run total",
        percent_of_running="percent percentage max_percent percent_running",
        daily_at="daily at every_day",
        every="interval each",
    ),
    "if": "",
    **dict.fromkeys(["condition", "conditions", "where", "filter", "match"], "if"),
    **{"from": ""},
    **dict.fromkeys(["start", "opens", "begin", "since"], "from"),
    **dict.fromkeys(["end", "closes", "till"], "to"),
    "enabled": "",
    "active": "",
    "per_day": "",
    "per_week": "",
    "per_minute": "",
    **{action: f"then: {action}" for action in ("kill", "terminate", "leave")},
    **{mode: f"mode: {mode}" for mode in ("observe", "enforce", "approve")},
}
CASE_KEYS: Synonyms = words(
    expect="expected expects then result assert",
    facts="given fact data if",
    workflows="workflow running processes bizprocs",
    event="when trigger on events",
    at="now time date",
    name="title id test description",
    unknown="unreadable",
)
_OF_TEMPLATES = "templates are tested below `if`, as in `workflow.template_id: 61`"
REMARKS: Mapping[str, str] = {
    "enabled": "a rule is on unless it says why not, as in `disabled: not yet`",
    "active": "a rule is on unless it says why not, as in `disabled: not yet`",
    "else": "what does not hold does nothing, and the next rule is read",
    "per_day": "a rule's limits are `per_hour`, `per_document`, `per_run` and `percent_of_running`",
    **dict.fromkeys(("template", "templates", "template_id"), _OF_TEMPLATES),
    **dict.fromkeys(("or", "and", "any", "all", "not"), "groups of tests stand below `if`"),
    "priority": "rules are read from the top, so their order is their priority",
}
VALUES: Synonyms = {
    **words(
        newest="latest last new youngest recent most_recent",
        oldest="first earliest old eldest",
        leave="protect skip ignore keep allow spare exempt guard",
        kill="delete remove destroy",
        terminate="stop end cancel abort halt",
        observe="dry_run dryrun test log audit monitor watch shadow simulate",
        enforce="on live active act real",
        approve="ask confirm manual approval",
        document="deal doc entity item",
        template="workflow",
    ),
    **dict.fromkeys(["simulation", "trial", "testing"], "observe"),
    **dict.fromkeys(["dont_kill", "off", "lowest", "highest", "largest", "smallest"], ""),
}
AUDIENCES: Synonyms = words(
    timeline="comment comments history feed card document deal таймлайн лента комментарий",
    starter="started_by author initiator creator starter_id requester инициатор автор запустивший",
    responsible="assigned_by assigned_by_id assigned owner manager responsible_id user "
    "ответственный менеджер",
    waiting="waiting_for tasks task assignee assignees approver approvers performers "
    "исполнитель исполнители согласующий",
)
TRUTHS: Synonyms = words(true="yes y on 1 да ja wahr", false="no n off 0 нет nein nicht falsch")
OPERATORS: Synonyms = {
    **words(
        is_not="not not_equal not_equals ne neq differs isnt is_nt != <>",
        one_of="in any_of is_one_of is_in",
        none_of="not_in not_one_of nin is_not_in not_any_of",
        over="greater_than more_than gt greater above more larger_than bigger_than >",
        at_least="gte ge greater_or_equal minimum min not_below not_less_than >= =>",
        below="less_than lt less under smaller_than fewer_than <",
        at_most="lte le less_or_equal maximum max not_over not_more_than up_to <= =<",
        between="range",
        contains="includes has substring like ilike",
        starts_with="begins_with prefix startswith begins starts",
        ends_with="suffix endswith ends",
        matches="regex regexp re pattern match",
        older_than="before earlier_than older",
        newer_than="after later_than since younger_than newer",
        within="during",
        exists="exist is_set present not_empty is_not_empty not_null",
    ),
    **dict.fromkeys(["equals", "equal", "eq", "==", "="], "is"),
    **dict.fromkeys(["empty", "is_empty", "null", "is_null", "not_exists"], "exists: false"),
}
# Tests that have no negation of their own; it is written with `unless` or `not`.
_UNNEGATED = ("contains", "starts_with", "ends_with", "matches", "between")
GROUPS: Synonyms = words(
    any="or any_of one_of either anyof", all="and all_of both allof", **{"not": "none neither nor"}
)
ZONES: Synonyms = {
    "msk": "Europe/Moscow",
    **dict.fromkeys(["moscow", "moskau", "moskva", "moscou", "москва", "мск"], "Europe/Moscow"),
    **{"wien": "Europe/Vienna", "kiew": "Europe/Kyiv", "warschau": "Europe/Warsaw"},
    **{"минск": "Europe/Minsk", "киев": "Europe/Kyiv", "екатеринбург": "Asia/Yekaterinburg"},
    **{"новосибирск": "Asia/Novosibirsk", "самара": "Europe/Samara"},
    "spb": "Europe/Moscow",
    "yekt": "Asia/Yekaterinburg",
    "novt": "Asia/Novosibirsk",
    "krat": "Asia/Krasnoyarsk",
    "irkt": "Asia/Irkutsk",
    "vlat": "Asia/Vladivostok",
    "samt": "Europe/Samara",
    "kyiv": "Europe/Kyiv",
    "minsk": "Europe/Minsk",
    "almaty": "Asia/Almaty",
    "berlin": "Europe/Berlin",
    "london": "Europe/London",
    "bst": "Europe/London",
    "cest": "Europe/Berlin",
    "ist": "",
    "pst": "America/Los_Angeles",
    "z": "UTC",
}


def meant(word: str, names: Iterable[str], synonyms: Synonyms) -> str | None:
    """Return the right word for a wrong one: a synonym's, the same in other letters, the nearest.

    Only words among `names` are right, where there are any, and advice of several words.
    """
    names = list(names)
    plain = word.strip().lower().lstrip("$").replace("-", "_").replace(" ", "_")
    if plain in names:
        return plain
    said = synonyms.get(plain)
    if said is not None and (said in names or not said or not names or " " in said):
        return said or None
    return russian.english(plain, names) or nearest(plain, names)


def truth_meant(written: str) -> str | None:
    """Return `true` or `false` for a word that means it, also with a comma behind it."""
    plain = written.strip().rstrip(",;.").lower()
    return plain if plain in ("true", "false") else TRUTHS.get(plain)


def negated_test(word: str) -> str | None:
    """Return the test that a word negates which no test of its own does: `not_contains`."""
    plain = word.lower()
    for prefix in ("not_", "does_not_", "doesnt_", "no_"):
        test = plain.removeprefix(prefix)
        if test != plain:
            right = test if test in _UNNEGATED else nearest(test, _UNNEGATED, likeness=0.75)
            return right or (OPERATORS.get(test) if OPERATORS.get(test) in _UNNEGATED else None)
    return None
