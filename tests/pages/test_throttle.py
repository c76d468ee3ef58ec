"""Guessing gets slow, with many names too; who was here before is let in all the same."""

from responder.pages.throttle import Throttle

NAME, BROWSER = "anna", "a-browser"


def test_five_tries_are_free_and_then_one_in_twelve_seconds() -> None:
    throttle = Throttle()
    assert [throttle.wait(NAME, None, 0.0) for _ in range(5)] == [0.0] * 5
    assert throttle.wait(NAME, None, 0.0) == 12.0
    assert throttle.wait(NAME, None, 11.0) == 1.0
    assert throttle.wait(NAME, None, 12.0) == 0.0
    assert throttle.wait(NAME, None, 12.0) == 12.0
    assert [throttle.wait(NAME, None, 600.0) for _ in range(6)] == [0.0] * 5 + [12.0]


def test_many_names_are_no_way_around_it() -> None:
    throttle = Throttle()
    waits = [throttle.wait(f"name{number}", None, 0.0) for number in range(25)]
    assert waits == [0.0] * 20 + [1.0] * 5


def test_a_known_browser_is_not_locked_out_by_others() -> None:
    throttle = Throttle()
    for number in range(100):
        throttle.wait(NAME if number % 2 else f"name{number}", None, 0.0)
    assert throttle.wait(NAME, BROWSER, 0.0) == 0.0
    assert [throttle.wait(NAME, BROWSER, 0.0) for _ in range(10)][-1] == 6.0


def test_the_right_password_forgives_the_wrong_ones() -> None:
    throttle = Throttle()
    for _ in range(30):
        assert throttle.wait(NAME, None, 0.0) == 0.0
        throttle.forgive(NAME, None)
    for _ in range(20):
        assert throttle.wait(NAME, BROWSER, 0.0) == 0.0
        throttle.forgive(NAME, BROWSER)


def test_it_remembers_a_thousand_names_and_no_more() -> None:
    throttle = Throttle()
    for second in range(3000):
        assert throttle.wait(f"name{second}", None, float(second)) == 0.0
    assert len(throttle._full_at) == 1000
