"""Renders the page of one decision: in words first, then all that led to it and what came of it."""

from functools import lru_cache, partial
from http import HTTPStatus

from starlette.responses import Response

from responder.bitrix24.document_links import portal_page
from responder.bitrix24.documents import from_triple
from responder.journal.naming import names_in_words
from responder.journal.reading.detail import MOST_SIBLINGS, Detail, detail
from responder.model import Outcome
from responder.rules.english.paragraphs import paragraph
from responder.rules.rule import Rule
from responder.rules.ruleset import RulesError, Ruleset, load, was_in_force
from responder.service.pages import wording
from responder.service.pages.log import decision_story
from responder.service.pages.log import restart_form as restarting
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.store import rulesets
from responder.store.limits import APPROVAL

MOST_FACTS = 300
_LONGEST_RULES = 100_000  # to read a longer file again would take too long for a page


def show(site: Site, visit: Visit) -> Response:
    """Return the page of one decision."""
    found = site.database.read(partial(detail, decision_id=visit.path["id"]))
    if found is None:
        return _not_found(site, visit)
    decision = found.decision
    document = decision["document"]
    in_words, now = names_in_words.document_in_words(document), site.now()
    reads = decision_story.grouped(decision["conditions"])
    facts = sorted((decision["facts"] or {}).items())
    rule = _rule(site, found)
    return site.page(
        "decision.html",
        visit,
        decision=decision,
        found=found,
        document=in_words,
        headline=wording.headline(decision, found.names),
        title=_title(found),
        now=now,
        due=wording.due(decision["outcome"], found.hold, found.due_at, now),
        because=wording.because(decision),
        proofs=wording.proofs(decision),
        trigger=wording.trigger(decision["trigger"]),
        hold=wording.hold(found.hold) if decision["outcome"] == Outcome.HELD else None,
        portal_page=document
        and portal_page(site.settings, decision["portal"], from_triple(*document)),
        mine=[read for read in reads if read.rule == decision["rule"]],
        others=[read for read in reads if read.rule != decision["rule"]],
        more_tests=max(0, len(decision["conditions"]) - decision_story.MOST_TESTS),
        facts=facts[:MOST_FACTS],
        more_facts=max(0, len(facts) - MOST_FACTS),
        moments=list(decision_story.timeline(found)),
        rule_text=_rule_text(found, rule),
        rule_in_words=None if rule is None else paragraph(rule),
        most_siblings=MOST_SIBLINGS,
        restart=restarting.view(site, decision),
        may_cancel=decision["outcome"] in (Outcome.WAITING, Outcome.HELD),
        may_approve=decision["outcome"] == Outcome.HELD and found.hold == APPROVAL,
    )


def _not_found(site: Site, visit: Visit) -> Response:
    return site.message(
        visit,
        HTTPStatus.NOT_FOUND,
        "There is no such decision",
        f"The log has no decision {visit.path['id']}. It may have been pruned: "
        f"decisions are kept for {site.settings.keep_days} days.",
    )


def _title(found: Detail) -> object:
    """Return the document's title, where it was read, and is not among the names."""
    if found.names is not None and found.names.title:
        return None
    document, facts = found.decision["document"], found.decision["facts"]
    if not document or not facts:
        return None
    kind = from_triple(*document).kind
    title = facts.get(f"{kind}.title")
    return None if isinstance(title, dict) else title


def _rule_text(found: Detail, rule: Rule | None) -> str | None:
    """Return the rule's text as it was: kept with the call, or else with its revision."""
    if found.proof is not None and found.proof.get("rule"):
        return str(found.proof["rule"])
    return None if rule is None else rule.text


def _rule(site: Site, found: Detail) -> Rule | None:
    """Return the rule that decided, in the revision that decided, or None."""
    name, revision = found.decision["rule"], found.decision["ruleset"]
    if name is None:
        return None
    running = site.rules.ruleset
    ruleset = running if running.revision == revision else _stored_ruleset(site, revision)
    rules = () if ruleset is None else ruleset.rules
    return next((rule for rule in rules if rule.id == name), None)


def _stored_ruleset(site: Site, revision: str) -> Ruleset | None:
    text = site.database.read(partial(rulesets.text, revision=revision))
    return None if text is None or len(text) > _LONGEST_RULES else _loaded(text)


@lru_cache(maxsize=8)
def _loaded(text: str) -> Ruleset | None:
    """Return rules that were in force once; None where this version cannot read them."""
    try:
        return load(text.encode(), file="rules.yaml", is_known=was_in_force)
    except RulesError:
        return None
