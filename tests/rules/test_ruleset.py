"""Tests of loading rules.yaml: what is a mistake, where, and what a good file becomes."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Action, Mode, Trigger
from responder.rules.ruleset import RulesError, load, paths
from tests.rules.make import UPDATED, a_rule, a_ruleset, in_a_file, mistakes_of, the_mistake

FIRST_FILE = Path(__file__).parents[2] / "rules.yaml"


def rule_with(line: str) -> str:
    return in_a_file(a_rule(more=line))


@pytest.mark.parametrize(
    ("text", "place", "said", "suggestion"),
    [
        # the file
        ("- 1\n", (1, 1), "a rules file is a map", None),
        ("rules: []\n", (1, 1), "`version` is missing", None),
        ("version: 2\nrules: []\n", (1, 10), "reads version 1", "1"),
        ('version: "1"\nrules: []\n', (1, 10), "reads version 1", "1"),
        ("version: 1\n", (1, 1), "`rules` is missing", None),
        ("version: 1\nrules: {}\n", (2, 1), "`rules` is a list", None),
        ("version: 1\nrule: []\nrules: []\n", (2, 1), "no key `rule`", "rules"),
        ("version: 1\nlists: [a]\nrules: []\n", (2, 8), "`lists` is a map", None),
        ("version: 1\nlists: {a: 1}\nrules: []\n", (2, 12), "list of values", "[1]"),
        ("version: 1\nlists: {A b: [1]}\nrules: []\n", (2, 9), "the name of a list", "a_b"),
        ("version: 1\nlists: {a: [null]}\nrules: []\n", (2, 13), "plain values", None),
        ("version: 1\ndefaults: 1\nrules: []\n", (2, 11), "`defaults` is a map", None),
        ("version: 1\ndefaults: {moed: observe}\nrules: []\n", (2, 12), "`moed`", "mode"),
        ("version: 1\ndefaults: {mode: enforced}\nrules: []\n", (2, 18), "`mode`", "enforce"),
        (
            "version: 1\ndefaults: {timezone: Europe/Moskow}\nrules: []\n",
            (2, 22),
            "no time zone",
            "Europe/Moscow",
        ),
        ("version: 1\ndefaults: {timezone: ../etc}\nrules: []\n", (2, 22), "no time zone", None),
        ("version: 1\ndefaults: {portals: main}\nrules: []\n", (2, 21), "is a list", "[main]"),
        ("version: 1\ndefaults: {portals: [Main]}\nrules: []\n", (2, 22), "`Main`", "main"),
        # one rule
        (in_a_file("- just-a-name\n"), (3, 5), "a rule is a map", None),
        (rule_with("unles: {deal.closed: true}"), (7, 5), "no key `unles`", "unless"),
        (rule_with("sweeep: true"), (7, 5), "no key `sweeep`", "sweep"),
        (in_a_file(a_rule(name="Lost_Deal")), (3, 9), "an `id` has only", "lost-deal"),
        (in_a_file(a_rule() + a_rule()), (8, 9), "another rule has the id `the-rule`", None),
        (in_a_file(a_rule(then="kil")), (7, 11), "`then` is one of", "kill"),
        (in_a_file("- {id: a, when: [robot], if: {workflow.id: x}}\n"),
         (3, 5), "`then` is missing", None),
        (in_a_file("- {when: [robot], if: {workflow.id: x}, then: kill}\n"),
         (3, 5), "`id` is missing", None),
        (in_a_file(a_rule(when=None)), (3, 5), "`when` is missing", None),
        (in_a_file(a_rule(when="[[robot]]")), (4, 12), "the name of an event", None),
        (in_a_file(a_rule(when="[ONCRMDYNAMICITEMADD_128, ONCRMDYNAMICITEMADD_12]")),
         (4, 37), "no event that brings", None),
        (in_a_file(a_rule(when="deal.updated")), (4, 5), "`when` is a list", "[deal.updated]"),
        (in_a_file(a_rule(when="[]")), (4, 5), "`when` is a list", None),
        (in_a_file(a_rule(when="[deal.update]")), (4, 12), "no event", "deal.updated"),
        (in_a_file(a_rule(when="[deals.updated]")), (4, 12), "no event", "deal.updated"),
        (in_a_file(a_rule(when="[item_31.updated]")), (4, 12), "no event", "invoice.updated"),
        (in_a_file(a_rule(when="[item_147.update]")), (4, 12), "no event", "item_147.updated"),
        (in_a_file(a_rule(when="[everything]")), (4, 12), "no event `everything`", None),
        (in_a_file(a_rule(when="[ONCRMDEALUPDAT]")), (4, 12), "no event", "ONCRMDEALUPDATE"),
        (in_a_file(a_rule(when="[ONCRMINVOICEADD]")), (4, 12), "no event that brings", None),
        (in_a_file(a_rule(when="[{evry: 1m}]")), (4, 13), "no trigger `evry`", "every"),
        (in_a_file(a_rule(mode="enforced")), (6, 11), "`mode` is one of", "enforce"),
        (in_a_file(a_rule("workflow.template_id: 61", then="leave", more="mode: enforce")),
         (6, 5), "a `leave` rule has no `mode`", None),
        (rule_with("because: true"), (7, 14), "`because` is a text", None),
        (rule_with("because:"), (7, 5), "`because` is a text", None),
        (rule_with("disabled: true"), (7, 15), "`disabled` says why", None),
        (rule_with("sweep: maybe"), (7, 12), "`sweep` is true or false", None),
        (rule_with("sweep: yes"), (7, 12), "`sweep` is true or false", "true"),
        (rule_with("expires: 2026-02-30"), (7, 14), "no such day as `2026-02-30`", "2026-02-28"),
        (rule_with("expires: soon"), (7, 14), "`expires` is a day", None),
        (rule_with("portals: [Main]"), (7, 15), "no portal's name", "main"),
        (rule_with("portals: main"), (7, 14), "`portals` is a list", "[main]"),
        (rule_with("portals: [null]"), (7, 15), "a list of names", None),
        (rule_with("portals: []"), (7, 14), "`portals` is a list", None),
        (in_a_file(a_rule(when="[robot]", more="sweep: true")), (7, 5), "`sweep`", None),
        (in_a_file(a_rule("deal.closed: true")), (3, 5), "workflows of every template", None),
        (in_a_file(a_rule("")), (3, 5), "`if` is missing: this would kill", None),
        (in_a_file(a_rule("deal.closed: true", more="every_template: false")),
         (3, 5), "workflows of every template", None),
        (in_a_file(a_rule("deal.closed: true", then="leave", more="every_template: true")),
         (6, 5), "`every_template` is for rules that kill", None),
        (in_a_file(a_rule("", then="leave", when=None)), (3, 5), "`if` is missing", None),
        # what it tests
        (in_a_file(a_rule("deal.oportunity: 1")), (5, 10), "no fact", "deal.opportunity"),
        (in_a_file(a_rule("deal.ammount: 1")), (5, 10), "no fact", "deal.opportunity"),
        (in_a_file(a_rule("deal.STAGE_ID: a")), (5, 10), "no fact", "deal.stage_id"),
        (in_a_file(a_rule("deal.stageId: a")), (5, 10), "no fact", "deal.stage_id"),
        (in_a_file(a_rule("dael.stage_id: a")), (5, 10), "no fact", "deal.stage_id"),
        (in_a_file(a_rule("workflow.template: 61")), (5, 10), "no fact", "workflow.template_id"),
        (in_a_file(a_rule("deal.zzzz: a")), (5, 10), "no fact `deal.zzzz`", None),
        (in_a_file(a_rule("ani: [{deal.closed: true}]")), (5, 10), "no fact `ani`", "any"),
        (in_a_file(a_rule("item_31.title: a")), (5, 10), "no fact", None),
        (in_a_file(a_rule("workflow.template_id: {oneof: [1]}")),
         (5, 33), "no test `oneof`", "one_of"),
        (in_a_file(a_rule("workflow.template_id: {}")), (5, 32), "has no test", None),
        (in_a_file(a_rule("workflow.template_id: {one_of: 61}")), (5, 41), "a list", "[61]"),
        (in_a_file(a_rule("workflow.template_id: []")), (5, 32), "this list is empty", None),
        (in_a_file(a_rule("workflow.template_id: {is: [61]}")),
         (5, 37), "`one_of`", "one_of: [61]"),
        (in_a_file(a_rule("workflow.template_id: {is: {a: {}}}")), (5, 38), "only `{fact", None),
        (in_a_file(a_rule("workflow.template_id: {is: {}}")), (5, 37), "one value", None),
        (in_a_file(a_rule("workflow.template_id: {is: {fact: [a]}}")), (5, 44), "name of a", None),
        (in_a_file(a_rule("workflow.template_id: {in_list: [a]}")),
         (5, 42), "the name of", "one_of: [a]"),
        (in_a_file(a_rule("deal.uf_a: {over: {fact: deal.title}}, workflow.id: a")),
         (5, 28), "neither a number nor a duration", None),
        (in_a_file(a_rule("deal.closedate: {between: [soon, 2026-09-24]}, workflow.id: a")),
         (5, 37), "is not a date", None),
        (in_a_file(a_rule("deal.closedate: '2026-09-24T99:00'  , workflow.id: a")),
         (5, 26), "there is no such time as `99:00`", None),
        (in_a_file(a_rule("workflow.template_id: abc")),
         (5, 32), "is not a number", "template.name: abc"),
        (in_a_file(a_rule("workflow.template_id: 061")), (5, 32), "is not a number", None),
        (in_a_file(a_rule("workflow.template_id: 0")), (5, 32), "0 in `workflow.templ", None),
        (in_a_file(a_rule("workflow.template_id: null")),
         (5, 32), "nothing equals", "{exists: false}"),
        (in_a_file(a_rule("workflow.template_id: ''")), (5, 32), "{exists: false}", None),
        (in_a_file(a_rule("workflow.template_id: {in_list: x}")), (5, 42), "no list `x`", None),
        (in_a_file(a_rule("workflow.template_id: {in_list: vip}"), "lists: {vips: [1]}\n"),
         (6, 42), "no list `vip`", "vips"),
        (in_a_file(a_rule("workflow.template_id: {in_list: vips}"), "lists: {vips: [a]}\n"),
         (2, 16), "rules compare it with the list `vips`", None),
        (in_a_file(a_rule("deal.title: {over: 5}, workflow.id: a")),
         (5, 23), "`over` cannot test `deal.title`", None),
        (in_a_file(a_rule("deal.created_time: {over: 5d}, workflow.id: a")),
         (5, 30), "older_than", "older_than"),
        (in_a_file(a_rule("workflow.age: {over: 30}, workflow.id: a")),
         (5, 31), "`30` is not a duration", "30d"),
        (in_a_file(a_rule("workflow.age: {over: 9999999999d}, workflow.id: a")),
         (5, 31), "is not a duration", None),
        (in_a_file(a_rule("deal.opportunity: {between: [5, 1]}, workflow.id: a")),
         (5, 38), "the first of the two is larger", None),
        (in_a_file(a_rule("deal.opportunity: {between: 5}, workflow.id: a")),
         (5, 38), "two values", None),
        (in_a_file(a_rule("deal.title: {matches: 'a('}, workflow.id: a")),
         (5, 32), "this pattern cannot be read", None),
        (in_a_file(a_rule("deal.title: {matches: '(?=a)'}, workflow.id: a")),
         (5, 32), "this pattern cannot be read", None),
        (in_a_file(a_rule("deal.title: true, workflow.id: a")), (5, 22), "in quotes", None),
        (in_a_file(a_rule("deal.closed: maybe, workflow.id: a")), (5, 23), "yes or no", None),
        (in_a_file(a_rule("deal.closed: {exists: maybe}, workflow.id: a")),
         (5, 32), "{exists: true}", None),
        (in_a_file(a_rule("deal.closedate: {older_than: soon}, workflow.id: a")),
         (5, 39), "neither a duration", None),
        (in_a_file(a_rule("deal.title: deal.comments, workflow.id: a")),
         (5, 22), "{fact: deal.comments}", "{is: {fact: deal.comments}}"),
        (in_a_file(a_rule("deal.title: [x, deal.uf_crm_1], workflow.id: a")),
         (5, 26), "{fact: deal.uf_crm_1}", "{is: {fact: deal.uf_crm_1}}"),
        (in_a_file(a_rule("deal.title: {fact: deal.comments}, workflow.id: a")),
         (5, 23), "{is: {fact:", "is: {fact: deal.comments}"),
        (in_a_file(a_rule("deal.title: {is: {fact: deal.coments}}, workflow.id: a")),
         (5, 34), "no fact `deal.coments`", "deal.comments"),
        (in_a_file(a_rule("deal.title: {is: {fakt: deal.comments}}, workflow.id: a")),
         (5, 28), "only `{fact: …}`", "fact"),
        (in_a_file(a_rule("deal.title: {is: {fact: deal.closed}}, workflow.id: a")),
         (5, 34), "cannot be compared", None),
        (in_a_file(a_rule("deal.title: {is: {fact: lead.title}}, workflow.id: a")),
         (5, 27), "and a document is of one kind", None),
        (in_a_file(a_rule("deal.title: a, lead.title: b, workflow.id: a")),
         (5, 25), "and a document is of one kind", None),
        (in_a_file(a_rule("lead.title: a, workflow.id: a")), (5, 10), "is never there", None),
        (in_a_file(a_rule("item_147.title: a, workflow.id: a", when="[item_148.added]")),
         (5, 10), "is never there", None),
        (in_a_file(a_rule("any: {workflow.id: a}, workflow.id: b")), (5, 15), "a list",
         "[{workflow.id: a}]"),
        (in_a_file(a_rule("unless: {deal.id: 1}, workflow.id: b")),
         (5, 10), "`unless` stands beside `if`", None),
        (in_a_file(a_rule("any: [], workflow.id: b")), (5, 15), "a list: each of its tests", None),
        (in_a_file(a_rule("any: [a], workflow.id: b")), (5, 16), "a map of tests", None),
        (in_a_file(a_rule("any: [{}], workflow.id: b")), (5, 16), "no tests", None),
        (in_a_file(a_rule("not: {}, workflow.id: b")), (5, 15), "no tests", None),
        (in_a_file(a_rule("not: [{workflow.id: a}], workflow.id: b")),
         (5, 15), "without dashes", "{workflow.id: a}"),
        (rule_with("unless: {}"), (7, 13), "`unless` has no tests", None),
        (rule_with("unless:"), (7, 5), "`unless` is a map of tests", None),
    ],
)  # fmt: skip
def test_a_mistake_is_said_where_it_is_with_the_right_name(
    text: str, place: tuple[int, int], said: str, suggestion: str | None
) -> None:
    errors = [mistake for mistake in mistakes_of(text) if mistake.severity == "error"]
    assert len(errors) == 1, [str(mistake) for mistake in errors]
    assert said in errors[0].message
    assert ((errors[0].line, errors[0].column), errors[0].suggestion) == (place, suggestion)


def test_a_rule_may_ask_first_by_itself_or_by_default() -> None:
    modes = [
        a_ruleset(a_rule(mode="approve")).rules[0].mode,
        a_ruleset(a_rule(mode=None), head="defaults: {mode: approve}\n").rules[0].mode,
        a_ruleset(a_rule(), head="defaults: {mode: approve}\n").rules[0].mode,
    ]
    assert modes == [Mode.APPROVE, Mode.APPROVE, Mode.ENFORCE]


def test_a_guard_cannot_ask_first() -> None:
    guard = a_rule(then="leave", more="mode: approve") + a_rule(name="b")
    assert "a `leave` rule has no `mode`" in the_mistake(in_a_file(guard)).message


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = "version: 2\nfoo: 1\nrules:\n  - id: a\n    wen: []\n    then: kil\n"
    assert [(mistake.line, mistake.column) for mistake in mistakes_of(text)] == [
        (1, 10),
        (2, 1),
        (5, 5),
        (5, 5),
        (6, 11),
    ]


def test_the_error_of_a_broken_file_says_where() -> None:
    with pytest.raises(RulesError, match=r"^rules.yaml:1:1: error: the file is empty$") as raised:
        load(b"", file="rules.yaml")
    assert len(raised.value.mistakes) == 1


def test_one_portal_needs_no_portals_and_two_do() -> None:
    text = in_a_file(a_rule())
    assert mistakes_of(text, portals=("main",)) == ()
    assert "`portals` is missing" in the_mistake(text, portals=("main", "other")).message
    named = in_a_file(a_rule(), "defaults: {portals: [main]}\n")
    assert mistakes_of(named, portals=("main", "other")) == ()
    guard = in_a_file(a_rule(then="leave") + a_rule(name="b", more="portals: [main]"))
    assert mistakes_of(guard, portals=("main", "other")) == ()


def test_a_portal_that_the_settings_do_not_have_is_a_mistake() -> None:
    mistake = the_mistake(rule_with("portals: [mian]"), portals=("main", "other"))
    assert mistake.suggestion == "main"
    default = in_a_file(a_rule(), "defaults: {portals: [mian]}\n")
    assert the_mistake(default, portals=("main",)).suggestion == "main"
    assert mistakes_of(rule_with("portals: [mian]")) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (in_a_file(a_rule("deal.opportunity: {below: 1000}, workflow.id: a")), "currency_id"),
        (in_a_file(a_rule(), "lists: {vips: []}\n"), "the list `vips` is empty"),
        ("version: 1\nrules: []\n", "nothing is ever stopped"),
        (in_a_file(a_rule() + a_rule(name="late", then="leave")), "protects from nothing"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning_and_loads(text: str, said: str) -> None:
    mistake = the_mistake(text)
    assert mistake.severity == "warning"
    assert said in mistake.message


def test_an_amount_with_its_currency_or_only_its_existence_is_not_warned_of() -> None:
    currency = "deal.opportunity: {below: 1}, deal.currency_id: RUB, workflow.id: a"
    assert mistakes_of(in_a_file(a_rule(currency))) == ()
    existence = "deal.opportunity: {exists: true}, workflow.id: a"
    assert mistakes_of(in_a_file(a_rule(existence))) == ()


def test_a_good_rule_becomes_what_it_says() -> None:
    text = """\
        - id: lost-deal   # a comment
          because: A lost deal needs no approval.
          mode: enforce
          when: [deal.updated, robot]
          if:
            any:
              - deal.stage_semantic_id: F
              - not: {deal.closed: false}
            workflow.template_id: 61
          unless: {deal.assigned_by_id: {is: {fact: workflow.started_by}}}
          portals: [main]
          expires: 2026-12-31
          then: kill

        # the end
        """
    ruleset = a_ruleset(text, head="defaults: {timezone: Europe/Moscow}\n")
    (rule,) = ruleset.rules
    assert (rule.id, rule.mode, rule.then, rule.kind) == (
        "lost-deal",
        Mode.ENFORCE,
        Action.KILL,
        "deal",
    )
    assert rule.because == "A lost deal needs no approval."
    assert rule.portals == frozenset({"main"})
    assert rule.sweep
    assert not rule.every_template
    assert rule.expires_at == datetime(2026, 12, 31, 21, tzinfo=UTC)
    assert rule.text.startswith("  - id: lost-deal   # a comment\n")
    assert rule.text.endswith("then: kill")
    assert rule.paths == {
        "deal.stage_semantic_id",
        "deal.closed",
        "workflow.template_id",
        "deal.assigned_by_id",
        "workflow.started_by",
    }
    places = [test.place for test in rule.condition.tests()]
    assert places == [
        "if.any[0].deal.stage_semantic_id",
        "if.any[1].not.deal.closed",
        "if.workflow.template_id",
    ]


def test_the_revision_names_the_bytes() -> None:
    data = in_a_file(a_rule()).encode()
    ruleset = load(data, file="rules.yaml")
    assert ruleset.revision == sha256(data).hexdigest()
    assert ruleset.text.encode() == data
    assert load(data + b"\n", file="rules.yaml").revision != ruleset.revision


def test_rules_that_name_no_template_read_whether_it_is_listed() -> None:
    every = a_rule("deal.closed: true", more="every_template: true")
    assert "template.known" in paths(a_ruleset(every).rules)
    assert "template.known" not in paths(a_ruleset(a_rule()).rules)
    assert paths([]) == frozenset()


def test_ages_read_the_instants_they_are_made_of() -> None:
    rule = a_ruleset(a_rule("workflow.age: {over: 1d}, workflow.id: a")).rules[0]
    assert {"workflow.age", "workflow.started"} <= rule.paths


@pytest.mark.parametrize(
    ("when", "trigger", "events", "kind", "asked"),
    [
        ("[deal.updated]", "event", ("ONCRMDEALUPDATE",), "deal", True),
        ("[deal.updated]", "event", ("oncrmdealupdate",), "deal", True),
        ("[deal.updated]", "event", ("ONCRMDEALADD",), "deal", False),
        ("[deal.updated]", "event", ("ONCRMDEALADD", "ONCRMDEALUPDATE"), "deal", True),
        ("[deal.updated]", "event", ("ONCRMDEALMOVETOCATEGORY",), "deal", True),
        ("[deal.updated]", "robot", (), "deal", False),
        ("[deal.updated]", "sweep", (), "deal", True),
        ("[deal.updated]", "sweep", (), "lead", False),
        ("[deal.added]", "sweep", (), "deal", False),
        ("[onCrmDealUpdate]", "event", ("ONCRMDEALUPDATE",), "deal", True),
        ("[onCrmDealUpdate]", "sweep", (), "deal", True),
        ("[robot]", "robot", (), "deal", True),
        ("[robot]", "robot", (), "other", True),
        ("[robot]", "sweep", (), "deal", False),
        ("[robot]", "event", ("ONCRMDEALUPDATE",), "deal", False),
        ("[item_147.updated]", "event", ("ONCRMDYNAMICITEMUPDATE",), "item_147", True),
        ("[item_147.updated]", "event", ("ONCRMDYNAMICITEMUPDATE_147",), "item_147", True),
        ("[item_147.updated]", "event", ("ONCRMDYNAMICITEMUPDATE",), "item_148", False),
        ("[item_147.updated]", "event", ("ONCRMDYNAMICITEMUPDATE",), "invoice", False),
        ("[invoice.updated]", "event", ("ONCRMDYNAMICITEMUPDATE",), "invoice", True),
        ("[invoice.updated]", "event", ("ONCRMDYNAMICITEMUPDATE_31",), "invoice", True),
        ("[ONCRMDYNAMICITEMUPDATE]", "event", ("ONCRMDYNAMICITEMUPDATE",), "item_148", True),
        ("[task.deleted]", "event", ("ONTASKDELETE",), "task", True),
        ("[ONTASKCOMMENTADD]", "event", ("ONTASKCOMMENTADD",), "task", True),
        ("[quote.added]", "event", ("ONCRMQUOTEADD",), "quote", True),
        ("[ONCRMDYNAMICITEMADD_147]", "event", ("ONCRMDYNAMICITEMADD_147",), "item_147", True),
        ("[deal.updated]", "schedule", (), "deal", False),
    ],
)
def test_a_rule_is_in_question_for_what_its_triggers_name(
    when: str, trigger: Trigger, events: tuple[str, ...], kind: str, asked: bool
) -> None:
    ruleset = a_ruleset(a_rule(when=when))
    assert trigger in get_args(Trigger)
    assert bool(ruleset.in_question(trigger, events, kind, "main")) is asked


def test_guards_are_in_question_only_above_a_rule_that_acts() -> None:
    rules = a_ruleset(
        a_rule(name="top", then="leave", when=None)
        + a_rule(name="for-leads", then="leave", when="[lead.added]")
        + a_rule(name="acts")
        + a_rule(name="bottom", then="leave", when=None)
    )
    asked = rules.in_question("event", UPDATED, "deal", "main")
    assert [rule.id for rule in asked] == ["top", "acts"]
    assert rules.in_question("event", ("ONCRMLEADADD",), "lead", "main") == ()
    assert rules.in_question("robot", (), "deal", "main") == ()


def test_rules_for_other_kinds_and_portals_and_disabled_ones_are_not_in_question() -> None:
    rules = a_ruleset(
        a_rule("lead.title: a", name="leads", then="leave", when=None)
        + a_rule(name="off", more="disabled: it fought with another rule")
        + a_rule(name="other", more="portals: [other]")
        + a_rule(name="swept-not", more="sweep: false")
    )
    assert [r.id for r in rules.in_question("event", UPDATED, "deal", "main")] == ["swept-not"]
    assert [r.id for r in rules.in_question("sweep", (), "deal", "other")] == ["other"]


def test_portals_of_the_defaults_narrow_what_acts_and_not_what_guards() -> None:
    rules = a_ruleset(
        a_rule(name="guard", then="leave") + a_rule(name="acts"),
        head="defaults: {portals: [main]}\n",
    )
    assert [rule.portals for rule in rules.rules] == [None, frozenset({"main"})]


def test_the_first_file_has_no_mistake_and_only_observes() -> None:
    ruleset = load(FIRST_FILE.read_bytes(), file="rules.yaml", portals=("main",))
    assert ruleset.warnings == ()
    assert {rule.mode for rule in ruleset.rules if rule.acts} == {Mode.OBSERVE}


LINES = """\
version: 1
rules:
- id: a
  when: [deal.updated]
  if: {
}
  then: kill
deal.title: x
any: [
]
not: {
  unless:
    workflow.template_id: 61
,
  portals: [
lists: {
defaults:
  mode:
null
{fact: deal.title}
"""


@given(st.lists(st.sampled_from(LINES.splitlines()), max_size=25).map("\n".join))
def test_reading_rules_raises_nothing_but_their_mistakes(text: str) -> None:
    split = text.splitlines() or [""]
    for mistake in mistakes_of(text):
        assert mistake.line <= len(split) + 1
        assert mistake.message
