"""Guessing gets slow, with many names too; who was here before is let in all the same."""

from responder.service.pages.login.throttle import Throttle

NAME, BROWSER = "anna", "a-browser"


def wait(throttle: Throttle, now: float, name: str = NAME, browser: str | None = None) -> float:
    return throttle.wait(name, browser, now, is_known=name == NAME)


def test_five_tries_are_free_and_then_one_in_twelve_seconds() -> None:
    for name in (NAME, "nobody"):
        throttle = Throttle()
        assert [wait(throttle, 0.0, name) for _ in range(5)] == [0.0] * 5
        assert wait(throttle, 0.0, name) == 12.0
        assert wait(throttle, 11.0, name) == 1.0
        assert wait(throttle, 12.0, name) == 0.0
        assert wait(throttle, 12.0, name) == 12.0
        assert [wait(throttle, 600.0, name) for _ in range(6)] == [0.0] * 5 + [12.0]


def test_of_made_up_names_three_are_looked_at_and_then_one_in_ten_seconds() -> None:
    throttle = Throttle()
    assert [throttle.may_be_hashed(0.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [throttle.may_be_hashed(10.0) for _ in range(2)] == [True, False]


def test_made_up_names_are_no_way_to_more_tries_of_an_admins_and_keep_no_admin_out() -> None:
    throttle = Throttle()
    for number in range(3):
        assert wait(throttle, 0.0) == 0.0
        assert [wait(throttle, 0.0, f"name{number}-{n}") for n in range(2000)] == [0.0] * 2000
    assert [wait(throttle, 0.0) for _ in range(3)] == [0.0, 0.0, 12.0]


def test_a_known_browser_is_not_locked_out_by_others() -> None:
    throttle = Throttle()
    for number in range(100):
        wait(throttle, 0.0, NAME if number % 2 else f"name{number}")
    assert wait(throttle, 0.0, browser=BROWSER) == 0.0
    assert [wait(throttle, 0.0, browser=BROWSER) for _ in range(10)][-1] == 6.0


def test_the_right_password_forgives_the_wrong_ones() -> None:
    throttle = Throttle()
    for _ in range(30):
        assert wait(throttle, 0.0) == 0.0
        throttle.forgive(NAME, None)
    for _ in range(20):
        assert wait(throttle, 0.0, browser=BROWSER) == 0.0
        throttle.forgive(NAME, BROWSER)


def test_it_remembers_a_thousand_made_up_names_and_no_more() -> None:
    throttle = Throttle()
    for second in range(3000):
        assert wait(throttle, float(second), f"name{second}") == 0.0
    assert len(throttle._made_up._full_at) == 1000
