"""Rules files to play with, and the usual deeds: strategies for what may be and what may happen."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.random.model_deeds import DEALS, RULES
from tests.random.model_drivers import KILL, TERMINATE, Happening
from tests.random.model_facts import (
    ELEMENTS,
    LIST_OF,
    VIP,
    VIP_USERS,
    AtLeast,
    Below,
    Costs,
    Is,
    Worked,
)
from tests.random.model_rules import EVENTS, EVERY, NIGHTLY, Policy, Rule

INSTANCES, ITEM, TASKS = "bizproc.workflow.instances", "crm.item.get", "bizproc.task.list"
ITEMS, TEMPLATES, USERS = "crm.item.list", "bizproc.workflow.template.list", "user.get"
OF_LISTS = ("lists.element.get", "lists.field.get")
NOT_DONE = ("drop_before", "500", "503_limit", "429_operating", "401", "overload", "empty_error")
PERHAPS_DONE = ("act_then_drop", "act_then_500", "not_json", "truthy", "missing_part", "html_502")
UNREAD = ("500", "503_limit", "drop_before", "missing_part", "not_json", "401")
FAULTS = [
    *((KILL, fault) for fault in (*NOT_DONE, *PERHAPS_DONE)),
    *((TERMINATE, fault) for fault in PERHAPS_DONE),
    *((method, fault) for method in (INSTANCES, ITEM, TASKS) for fault in UNREAD),
    (ITEM, "wrong_id"),
    *(("batch", fault) for fault in ("503_limit", "act_then_drop", "drop_before", "html_502")),
]
FAULTS_OF_RUNS = [
    (method, fault) for method in (ITEMS, TEMPLATES, USERS, *OF_LISTS) for fault in UNREAD
]
FIELDS = [
    *(("stageSemanticId", value) for value in ("F", "P")),
    *(("opportunity", value) for value in ("500", "5000", "", "a lot", None)),
    *(("companyId", value) for value in (5, 17, None)),
    *(("assignedById", value) for value in (7, 9, 0, 99, None)),
    *(("UF_CRM_PRICE", value) for value in ("150|RUB", "50|RUB", "150|EUR", "150", None)),
]
# What groups deals, or links them; in each, something is empty, unknown or several.
GROUPING: dict[str, list[object]] = {
    "companyId": [5, 17, 17, None],
    "title": ["A", "B", "B", "", None],
    "UF_CRM_CLIENT": ["x", "y", ["x"], ["x", "y"], "0", ""],
    "observers": [[7], [9], [7, 9], []],
    "contactId": [3, 4, 0, 99, None],
    "createdBy": [7, 8, 9],
}
OF_ELEMENTS = [
    *(("PROPERTY_1", value) for value in ("done", "open", "", ["done", "open"])),
    *(("PROPERTY_2", value) for value in ("3", "30", "3 days", "")),
]

# What the rules of a file test.
LOST, CHEAP = Is("deal.stage_semantic_id", ("F",)), Below("deal.opportunity", 1000)
OF_61, OF_62 = Is("workflow.template_id", ("61",)), Is("workflow.template_id", ("62",))
OF_BOTH = Is("workflow.template_id", ("61", "62"))
OF_VIP, FOR_VIP = Is("deal.company_id", (VIP,)), Is("waiting_for.id", VIP_USERS)
CROWDED, DEAR = AtLeast("document.running", 2), Costs("deal.uf_crm_price", 100)
ORPHANED = Is("deal.assigned_by.active", ("false",))
OF_BANKS = Is("deal.company.industry", ("BANKING",))
OF_CHIEFS = Is("deal.contact.post", ("Chief",))
MADE_BY_LEAVERS = Is("deal.created_by.active", ("false",))
BY_LEAVERS = Is("starter.active", ("false",))
OLD, OLDER = Worked(1), Worked(2)
OF_LEAVE = Is("workflow.template_id", tuple(LIST_OF))
DONE, OPEN = Is("list_23.property_1", ("done",)), Is("list_23.property_1", ("open",))
SHORT = Below("list_23.property_2", 10)
ASKED_BY_LEAVERS = Is("list_23.created_by.active", ("false",))
PERS = [
    *[("document", "template"), ("template",), ("document",)],
    *[("deal.company_id",), ("starter.id",), ("starter.department", "template")],
    *[("deal.title",), ("deal.uf_crm_client",), ("deal.observers",), ("deal.company.industry",)],
]
COUNTS = [1, 1, 2]
WHENS = [
    *[("deal.updated",), ("deal.updated", "robot"), ("deal.added",), ("deal.updated", EVERY)],
    *[("deal.added", EVERY), (EVERY,), (NIGHTLY,), ("deal.added", NIGHTLY)],
]
MODES = ["enforce", "enforce", "enforce", "approve", "observe"]

usual = st.builds(
    Policy,
    enforced=st.sampled_from([True, True, True, False]),
    guard=st.booleans(),
    second=st.sampled_from(["kill", "terminate"]),
    per_hour=st.sampled_from([30, 30, 4, 2, 1, 0]),
    per_document=st.sampled_from([5, 5, 2, 1]),
)


def a_rule(name: str, **choices: list[object]) -> st.SearchStrategy[Rule]:
    """Return rules of a name, each of their keys one of several."""
    parts = {key: st.sampled_from(values) for key, values in choices.items()}
    return st.builds(Rule, id=st.just(name), **parts).map(_allowed)


def _allowed(rule: Rule) -> Rule:
    """Take away `sweep` where no event sets the rule off: it would be a mistake."""
    return rule if set(EVENTS) & set(rule.when) else replace(rule, sweep=None)


def a_file(*parts: st.SearchStrategy[Rule] | None) -> st.SearchStrategy[Policy]:
    """Return files that have these rules, in this order."""
    return st.tuples(*[one for one in parts if one is not None]).map(lambda f: Policy(file=f))


LIMITS: dict[str, list[object]] = {
    "per_hour": [30, 30, 30, 6, 4, 2, 0],
    "per_document": [5, 5, 5, 2, 1],
    "per_run": [None, None, None, 3, 1],
    "percent": [None, None, None, 20],
}
lost_deal = a_rule(
    "lost-deal",
    when=[*WHENS],
    tests=[(LOST, OF_61), (LOST, OF_61), (OF_61, CROWDED), (OF_61, ORPHANED), (OF_61, OF_CHIEFS)],
    unless=[(), (), (FOR_VIP,), (OF_VIP,), (OF_BANKS,), (MADE_BY_LEAVERS,)],
    wait=[0, 0, 0, 60],
    mode=[*MODES],
    sweep=[None, None, True, False],
    **LIMITS,
)
small_deal = a_rule(
    "small-deal",
    when=[*WHENS],
    tests=[(OF_62, CHEAP), (OF_62, CHEAP), (OF_62, DEAR)],
    then=["kill", "terminate"],
    mode=[*MODES],
    **LIMITS,
)
often = a_rule(
    "often", when=[(EVERY,)], tests=[(OF_61,), (LOST, OF_61), (OF_BOTH, CHEAP)], mode=[*MODES]
)
nightly = a_rule("nightly", when=[(NIGHTLY,)], tests=[(OF_BOTH,), (LOST, OF_61)], mode=[*MODES])
one_each = a_rule(
    "one-each",
    when=[*WHENS],
    tests=[(OF_BOTH,), (OF_BOTH, LOST)],
    keep=["newest", "oldest"],
    count=[*COUNTS],
    per=[*PERS],
    wait=[0, 60],
    mode=[*MODES],
)
stale = a_rule("stale", when=[*WHENS], tests=[(OF_BOTH, OLD), (OF_61, OLDER)], mode=[*MODES])
leave_over = a_rule(
    "leave-over",
    when=[(EVERY,), (EVERY,), (NIGHTLY,)],
    tests=[(OF_LEAVE, DONE), (OF_LEAVE, SHORT), (OF_LEAVE,)],
    unless=[(), (), (ASKED_BY_LEAVERS,), (OPEN,)],
    keep=["", "", "newest"],
    per=[("list_23.created_by",), ("list_23.property_1",)],
    mode=[*MODES],
)
GUARDED: list[object] = [
    (),
    (),
    *[(one,) for one in ("deal.updated", "deal.added", "robot", EVERY)],
]
GUARDED_LISTS: list[object] = [(), (EVERY,)]
guards = st.lists(
    st.one_of(
        a_rule("keep-banks", then=["leave"], tests=[(OF_BANKS,), (DEAR,)], when=GUARDED),
        a_rule("keep-vip", then=["leave"], tests=[(OF_VIP,)], when=GUARDED),
        a_rule("keep-asked", then=["leave"], tests=[(FOR_VIP,)], when=GUARDED),
        a_rule("keep-open", then=["leave"], tests=[(OPEN,)], when=GUARDED_LISTS),
    ),
    max_size=2,
    unique_by=lambda rule: rule.id,
)
actings = st.lists(
    st.one_of(lost_deal, small_deal, often, nightly, one_each, stale, leave_over),
    min_size=1,
    max_size=4,
    unique_by=lambda rule: rule.id,
)
any_policy = st.builds(lambda some, all_: Policy(file=(*some, *all_)), guards, actings)

# What happens.
deals = st.sampled_from(DEALS)
numbers = st.integers(0, 8)
users = st.sampled_from(["5", "7", "9"])


def happening(name: str, *how: st.SearchStrategy[object]) -> st.SearchStrategy[Happening]:
    """Return happenings of a name."""
    return st.builds(Happening, st.just(name), st.tuples(*how))


events = happening(
    "deliver",
    deals,
    st.sampled_from(["ONCRMDEALUPDATE", "ONCRMDEALUPDATE", "ONCRMDEALADD"]),
    st.integers(1, 3),
)
beginning_and_ending = st.one_of(
    happening("start_workflow", deals, st.sampled_from(["61", "62"])),
    happening("end_workflow", numbers),
    happening("end_workflow", numbers),
)
in_the_portal = st.one_of(
    happening("start_workflow", deals, st.sampled_from(["61", "62", "7"])),
    happening("end_workflow", numbers),
    st.builds(lambda deal, f: Happening("change_deal", (deal, *f)), deals, st.sampled_from(FIELDS)),
    happening("deny", deals),
)
in_deals = st.one_of(
    [
        happening("change_deal", deals, st.just(name), st.sampled_from(values))
        for name, values in GROUPING.items()
    ]
)
companies = st.sampled_from([("company", 5), ("company", 17), ("contact", 3)])
in_links = st.one_of(
    st.builds(lambda end: Happening("deny_linked", end), companies),
    happening(
        "change_linked",
        st.just("company"),
        st.sampled_from([5, 17]),
        st.just("industry"),
        st.sampled_from(["IT", "BANKING", ""]),
    ),
    happening(
        "change_linked",
        st.just("contact"),
        st.just(3),
        st.just("post"),
        st.sampled_from(["Chief", "Clerk", ""]),
    ),
)
elements = st.sampled_from([*ELEMENTS])
in_lists = st.one_of(
    st.builds(
        lambda element, f: Happening("change_element", (element, *f)),
        elements,
        st.sampled_from(OF_ELEMENTS),
    ),
    happening("start_on_element", elements, st.sampled_from([*LIST_OF])),
    happening("hide_list", st.sampled_from([23, 24])),
    happening("hide_template", st.sampled_from([*LIST_OF])),
    happening("end_workflow", numbers),
)
comebacks = happening("come_back", numbers)
amid_reading = st.one_of(in_the_portal, comebacks, happening("move_task", numbers, users))
of_ours = st.one_of(
    happening("pause"),
    happening("rearm", st.sampled_from(RULES[:2])),
    happening("change_rules", usual),
    happening("set_clock", st.sampled_from([-3600.0, 3600.0])),
)
of_people = st.one_of(
    happening("pause"),
    happening("rearm", st.sampled_from(RULES)),
    happening("ask_for_sweep", st.sampled_from([*RULES, None])),
    happening("approve", st.integers(1, 6)),
    happening("cancel", numbers),
)
troubles = st.one_of(
    st.builds(lambda fault: Happening("fail", fault), st.sampled_from(FAULTS)),
    happening("be_late"),
    happening("drop_filters"),
)
times = happening("pass_time", st.sampled_from([1.1, 3.0, 11.0, 31.0, 61.0, 400.0, 3700.0]))
deaths = st.sampled_from(
    [
        Happening("crash"),
        Happening("sleep"),
        Happening("stumble", (False,)),
        Happening("stumble", (True,)),
    ]
)
amid = st.dictionaries(
    st.integers(0, 16),
    st.one_of(deaths, in_the_portal, of_ours, events, times),
    min_size=1,
    max_size=2,
)
between_requests: st.SearchStrategy[dict[int, Happening]] = st.one_of(
    st.just({}), st.dictionaries(st.integers(0, 8), amid_reading, min_size=1, max_size=2)
)
amid_runs: st.SearchStrategy[dict[int, Happening]] = st.one_of(
    st.just({}),
    st.dictionaries(
        st.integers(0, 50), st.one_of(deaths, of_people, events, times), min_size=1, max_size=2
    ),
)
