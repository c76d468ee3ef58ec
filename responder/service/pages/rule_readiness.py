"""Reads, for the page of the rules, which observing rules are ready to be enforced."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from responder.authoring.readiness import Readiness, count_tests, observes, read
from responder.rules.rule import Rule
from responder.service.pages.site import Site


def of_rules(site: Site, rules: Sequence[Rule], now: datetime) -> Mapping[str, Readiness]:
    """Return the readiness of those of these rules that only observe, by rule id."""
    mode, ruleset = site.settings.mode, site.rules.ruleset
    some = [rule for rule in rules if observes(rule, mode, now)]
    tests = count_tests(ruleset) if some else {}
    return site.database.read(
        lambda conn: read(conn, some, site.portals, tests=tests, installation=mode, now=now)
    )
