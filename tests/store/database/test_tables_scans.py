"""No statement goes through a big table, but those that must.

What is sent to the databases is not listed here: tests of all the rooms are run once more, and are
heard (`PLAYED`, `hearing`). Each statement that was heard is explained by both databases (the rule
for what is a scan stands in `plans`): by SQLite with the statistics that the migrations write, for
it knows no others, and by PostgreSQL on big tables (`planted`). A function that sends something to
a big table and was not heard is named, so that nothing new stays unseen.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import responder
from responder.store.database.database import Database
from tests.conftest import Postgres
from tests.support.busy_database import plant
from tests.support.forked import uncounted
from tests.support.query_plans import scans
from tests.support.statements import BIG, FILE, Statement

pytestmark = pytest.mark.service

# Together they send all that is ever sent to a big table, in some seconds: where all tests of a
# file would take longer, those of them are named that send what no others do.
PLAYED = (
    "authoring/backtest/test_documented_example.py",
    "journal/upkeep/test_prune_forged.py::test_kills_of_a_minute_ago_cannot_be_pruned_away",
    "commands/journal/test_log.py::test_an_empty_table_says_why",
    "commands/journal/test_log.py::test_decisions_are_chosen_by_what_they_are_about",
    "commands/journal/test_log.py::test_events_are_chosen_by_portal_and_number",
    "commands/journal/test_log.py::test_events_name_the_document_on_which_something_was_condemned",
    "commands/test_operate.py::test_status_tells_the_mode_of_the_service_from_that_of_the_settings",
    "commands/test_operate.py::test_with_a_broken_rules_file_status_shows_all_the_rest_and_exits_with_1",
    "service/pages/test_site.py::test_a_portal_whose_breaker_is_open_is_an_alarm",
    "service/pages/front/test_front_page.py::test_an_approval_says_what_is_asked_why_until_when_and_how_much",
    "service/test_alarm_watch.py::test_a_decision_that_waits_is_told_and_once_more_before_it_lapses",
    "service/driver/test_round_approvals.py::test_what_its_rule_wants_no_more_is_cleared",
    "service/driver/test_round_approvals.py::test_it_lapses_although_the_portal_is_shut",
    "stop/test_limiter.py::test_an_element_is_one_document_in_a_batch",
    "stop/test_limiter.py::test_an_element_is_one_document_for_a_rule_that_observes",
    "stop/test_limiter.py::test_a_run_of_an_observing_rule_says_what_would_have_held_it",
    "stop/test_rearm_release.py::test_what_a_driver_of_an_older_version_left_is_cleared_and_looked_for",
    "service/test_gauges.py::test_a_quiet_inbox_has_no_age",
    "service/test_gauges.py::test_alarms_that_stand_are_counted_and_those_that_are_over_are_not",
    "service/test_housekeeping.py::test_alarms_of_a_portal_that_was_removed_go_a_day_after",
    "service/test_housekeeping.py::test_an_installation_message_goes_after_an_hour",
    "service/test_housekeeping.py::test_it_writes_nothing_under_a_lease_that_was_lost",
    "service/test_housekeeping.py::test_the_form_of_a_concluded_delivery_goes_within_a_day",
    "service/notifier/test_notifier.py::test_what_ended_is_told_and_what_was_let_go_is_not",
    "service/notifier/test_notifier_again.py::test_one_that_hangs_and_one_that_is_not_there_have_failed",
    "journal/test_approvals.py::test_a_rule_that_asks_nobody_overtakes_one_that_asks",
    "journal/test_approvals.py::test_approving_writes_who_approved_what_into_the_chain",
    "journal/test_approvals.py::test_of_several_names_those_that_wait_are_found_in_their_order",
    "journal/test_approvals.py::test_those_of_one_rule_are_listed_and_counted",
    "journal/test_approvals.py::test_what_a_run_condemned_is_one_list_over_all_documents",
    "journal/test_restarts.py::test_a_row_that_no_entry_bears_out_starts_nothing",
    "journal/test_restarts.py::test_each_step_is_written_once",
    "journal/reading/test_detail.py",
    "journal/telling/test_tellings.py::test_nothing_is_written_twice_and_a_new_call_plans_anew",
    "journal/telling/test_tellings.py::test_what_is_being_sent_while_it_is_erased_is_not_sent_again",
    "store/test_due_portals.py",
    "journal/reading/test_search.py",
    "journal/naming/test_name_search.py::test_a_line_has_the_names",
    "journal/naming/test_name_search.py::test_other_conditions_choose_among_what_was_found",
    "journal/upkeep/test_older_versions.py::test_names_that_an_erasure_of_old_left_are_erased",
    "store/inbox/test_inbox.py::test_a_portal_was_last_heard_from_at_its_newest_delivery",
    "store/inbox/test_inbox.py::test_deliveries_of_a_document_wait_together_the_longest_waiting_first",
    "store/inbox/test_inbox.py::test_depth_tells_how_many_wait_and_since_when",
    "store/inbox/test_inbox.py::test_the_front_tells_apart_what_rules_may_tell_apart",
    "store/inbox/test_inbox.py::test_what_is_concluded_waits_no_more_and_cannot_be_concluded_again",
    "store/inbox/test_inbox.py::test_what_was_received_is_listed_page_by_page_in_order",
    "journal/test_record.py::test_a_follower_sees_every_change_once",
    "journal/test_record.py::test_a_stop_goes_from_condemned_to_killed_and_verified",
    "journal/test_record.py::test_decisions_are_filtered_and_come_oldest_first",
    "journal/test_record.py::test_of_some_workflows_those_are_named_that_are_due_soon",
    "journal/test_record.py::test_the_head_of_the_chain_is_locked_before_decisions_are",
    "journal/reading/test_counts.py",
    "store/test_clock_setback.py",
    "journal/test_would_kills.py::test_looks_are_an_hour_six_and_almost_a_day_after",
    "journal/test_would_kills.py::test_pruning_takes_the_counts_with_it",
    "journal/test_would_kills.py::test_what_became_of_it",
    "journal/audit/test_working_state.py::test_a_log_that_was_pruned_differs_in_nothing_and_hides_nothing",
    "journal/audit/test_working_state.py::test_a_rule_that_is_rearmed_while_it_trips_is_not_tripped",
    "journal/audit/test_working_state.py::test_what_was_changed_behind_the_logs_back_is_named"
    "[DELETE FROM approvals WHERE seq = 2]",
    "journal/audit/test_working_state.py::test_what_was_changed_behind_the_logs_back_is_named"
    "[UPDATE decisions SET begun = true WHERE seq = 11]",
)
ON_POSTGRES_TOO = "test_inbox"  # it has statements of its own for each of the two

_ITSELF = "what it goes through is what it removes"
_ALL = "whoever asks at a terminal for all of a log is given all of it, a page at a time"

# These may go through a big table, for these reasons.
MAY_SCAN = {
    "journal/audit/delivery_counts._page": "an audit counts every delivery, some thousands a read",
    "store/inbox/inbox._fetch": _ALL,
    "store/inbox/inbox._from_newest": _ALL,
    "journal/reading/decisions._page": _ALL,
    "journal/upkeep/prune._names": _ITSELF,
    "journal/upkeep/prune.prune": (
        f"{_ITSELF}; after a clock was set, it looks for deliveries everywhere"
    ),
}

# These are not heard, for these reasons.
UNHEARD = {"journal/upkeep/erase.scrub": "it has the database clean up, and asks for nothing"}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Play the tests, and return who sends what."""
    place = tmp_path_factory.mktemp("heard")
    tests = Path(__file__).parents[2]
    options = ["-n0", "-p", "no:cacheprovider", f"--basetemp={place / 'tests'}"]
    options += ["-p", "tests.support.statements", "-k", f"not postgresql or {ON_POSTGRES_TOO}"]
    played = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(tests / name) for name in PLAYED)],
        cwd=tests.parent,
        env={**uncounted(os.environ), FILE: str(place / "heard.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-4000:]
    found: dict[str, list[str]] = json.loads((place / "heard.json").read_text())
    return found


@pytest.fixture(scope="module", params=[50_000, pytest.param(500_000, marks=pytest.mark.long)])
def databases(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Database]]:
    """Give a database of each kind whose planner takes its tables for big."""
    name = postgres.create()
    file = tmp_path_factory.mktemp("plans") / "responder.db"
    opened = {
        "sqlite": Database(f"sqlite:///{file}"),
        "postgresql": Database(postgres.url(name)),
    }
    for database in opened.values():
        database.open()
        database.migrate()
    plant(opened["postgresql"], request.param)
    yield opened
    for database in opened.values():
        database.close()
    postgres.drop(name)


def test_only_what_must_goes_through_a_big_table(
    heard: dict[str, list[str]], databases: dict[str, Database]
) -> None:
    found: dict[str, set[str]] = {}
    for statement in map(Statement._make, heard["statements"]):
        told = databases[statement.dialect].read(partial(scans, statement=statement))
        if told:
            asked = statement.sql.rpartition("FROM")[2]
            lines = {f"{statement.dialect}: {line}; FROM{asked}" for line in told}
            found.setdefault(statement.by, set()).update(lines)
    must_not = {by: sorted(lines) for by, lines in found.items() if by not in MAY_SCAN}
    assert not must_not, json.dumps(must_not, indent=1)
    assert sorted(found) == sorted(MAY_SCAN), "what goes through none needs no leave for it"


def test_everybody_who_asks_a_big_table_was_heard(heard: dict[str, list[str]]) -> None:
    asking = {by for module in _modules() for by in _senders(module)}
    assert len(asking) > 50
    assert sorted(asking - set(heard["senders"])) == sorted(UNHEARD), "play a test of theirs"


_TABLES = "responder.store.database.tables"


def _modules() -> Iterator[Path]:
    """Yield the modules that know a big table."""
    for path in sorted(Path(responder.__file__).parent.rglob("*.py")):
        text = path.read_text()
        if _TABLES not in text:
            continue
        names = {
            name.name
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ImportFrom) and node.module == _TABLES
            for name in node.names
        }
        if names & {*BIG}:
            yield path


def _senders(path: Path) -> Iterator[str]:
    """Yield the functions of a module that send statements."""
    module = path.relative_to(Path(responder.__file__).parent).with_suffix("").as_posix()

    def within(node: ast.AST, name: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Attribute) and child.attr in ("execute", "exec_driver_sql"):
                yield name
            inner = name
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                here = f"{name}.<locals>" if isinstance(node, ast.FunctionDef) else name
                inner = f"{here}.{child.name}"
            yield from within(child, inner)

    yield from within(ast.parse(path.read_text()), module)
