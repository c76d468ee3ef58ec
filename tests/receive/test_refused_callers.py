"""What strangers send is counted one by one, and said once a minute."""

from responder.adapters.metrics import Metrics
from responder.receive.refused_callers import RefusedRequests, SeldomLog


def test_it_is_said_at_once_and_then_once_a_minute_with_all_that_was_meanwhile() -> None:
    now = 1000.0
    seldom = SeldomLog(lambda: now)
    assert [seldom.count("a") for _ in range(3)] == [{"a": 1}, {}, {}]
    now += 59
    assert seldom.count("b") == {}
    now += 2
    assert [seldom.count("a") for _ in range(2)] == [{"a": 3, "b": 1}, {}]


def test_each_refusal_is_counted_by_its_kind() -> None:
    metrics = Metrics()
    strangers = RefusedRequests(metrics)
    for kind in ("malformed", "late", "malformed"):
        strangers.count(kind)
    assert {
        kind: metrics.registry.get_sample_value("responder_requests_refused_total", {"kind": kind})
        for kind in ("malformed", "late", "upgrade")
    } == {"malformed": 2, "late": 1, "upgrade": None}
