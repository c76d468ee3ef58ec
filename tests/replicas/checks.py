"""What must hold of several replicas in the end, and what does not, said in words.

The same checks judge the program and the builds of it that are broken on purpose.
"""

from collections.abc import Callable

from responder.bitrix24.sandbox import Sandbox
from responder.journal.audit.integrity import check_log
from tests.process import test_crash
from tests.replicas.cluster import Cluster
from tests.support import siege
from tests.support.under_load import Load, WatchedCalls


def violations(cluster: Cluster, load: Load, sandbox: Sandbox, calls: WatchedCalls) -> list[str]:
    """Return everything that is wrong of what replicas left behind."""
    left = siege.what_is_left(cluster.database)
    checks: dict[str, Callable[[], object]] = {
        "lost": lambda: test_crash.every_acknowledged_event_is_concluded(left, load),
        "killed": lambda: test_crash.everything_condemned_is_killed_once(left, load, sandbox),
    }
    found = [f"{name}: {wrong}" for name, check in checks.items() if (wrong := _wrong(check))]
    found += [f"called before its intent: {one}" for one in siege.not_intended(left, sandbox)]
    if calls.too_late:
        found.append(f"asked for again after it had taken effect: {calls.too_late}")
    if sandbox.limited:
        found.append(f"refused by the limit: {sandbox.limited}")
    found += [f"the log: {wrong}" for wrong in check_log(cluster.database)[1]]
    return found + [f"without the lease: {one}" for one in cluster.written_without_the_lease()]


def _wrong(check: Callable[[], object]) -> str | None:
    try:
        check()
    except AssertionError as error:
        return str(error) or "an assertion"
    return None
