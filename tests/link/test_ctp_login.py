"""The login brain, state by state; no socket and no clock but the numbers given."""

from random import Random

import pytest

from qautlra.link.ctp_login import (
    MARKET_STEPS,
    TRADER_STEPS,
    LoginBrain,
    LoginOptions,
    Renew,
    Send,
    State,
)
from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import Kind

OPTIONS = LoginOptions(connect_s=30.0, answer_s=10.0, retry_min_s=1.0, retry_max_s=60.0)


class Hours:
    """Whether the market trades."""

    def __init__(self, is_open: bool = True) -> None:
        self.is_open = is_open

    def __call__(self) -> bool:
        return self.is_open


def brain(steps: tuple[Kind, ...] = TRADER_STEPS, hours: Hours | None = None) -> LoginBrain:
    made = LoginBrain(steps, random=Random(1), options=OPTIONS, is_open=hours or Hours())
    made.begin(0.0)
    return made


def test_the_way_in() -> None:
    one = brain()
    assert one.connected(1.0) == Send(Kind.AUTHENTICATE)
    assert one.state is State.CONNECTED
    assert one.answered(Kind.AUTHENTICATE, 0, 1.1) == Send(Kind.LOGIN)
    assert one.state is State.AUTHED
    assert one.answered(Kind.LOGIN, 0, 1.2) == Send(Kind.CONFIRM)
    assert one.state is State.LOGGED_IN
    assert one.answered(Kind.CONFIRM, 0, 1.3) is None
    assert one.state is State.CONFIRMED and one.is_in
    assert one.timer(1000.0) is None


def test_a_market_session_only_logs_in() -> None:
    one = brain(MARKET_STEPS)
    assert one.connected(1.0) == Send(Kind.LOGIN)
    one.answered(Kind.LOGIN, 0, 1.1)
    assert one.is_in and one.state is State.LOGGED_IN


def test_a_front_that_has_forgotten_us_is_logged_in_to_anew() -> None:
    one = brain()
    one.connected(1.0)
    for kind in TRADER_STEPS:
        one.answered(kind, 0, 1.1)
    assert one.answered(Kind.QRY_ACCOUNT, ctp_codes.BUSY, 50.0) is None and one.is_in
    assert one.answered(Kind.QRY_ACCOUNT, ctp_codes.NOT_LOGGED_IN, 51.0) is None
    assert not one.is_in and one.state is State.DOWN and "log" in one.reason.lower()
    assert one.answered(Kind.INSERT, ctp_codes.NOT_LOGGED_IN, 51.1) is None
    assert one.timer(51.2) is None  # a moment later, so that a front which always says so is not flooded
    assert one.timer(52.0) == Renew()
    one.begin(52.0)
    assert one.connected(52.1) == Send(Kind.AUTHENTICATE)


def test_a_cut_begins_from_the_first_step() -> None:
    one = brain()
    one.connected(1.0)
    one.answered(Kind.AUTHENTICATE, 0, 1.1)
    assert one.disconnected(0x1001, 2.0) is None
    assert one.state is State.DOWN and not one.is_in
    assert one.answered(Kind.LOGIN, 0, 2.1) is None  # of the session that is gone
    assert one.connected(3.0) == Send(Kind.AUTHENTICATE)


@pytest.mark.parametrize("error", [3, 63, 75, 140, 143])
def test_a_wrong_password_is_tried_once_and_waits_for_a_person(error: int) -> None:
    one = brain()
    one.connected(1.0)
    step = Kind.AUTHENTICATE if error == 63 else Kind.LOGIN
    if step == Kind.LOGIN:
        one.answered(Kind.AUTHENTICATE, 0, 1.1)
    assert one.answered(step, error, 1.2) is None
    assert one.state is State.LOCKED
    assert one.timer(10_000.0) is None
    assert one.disconnected(0x1001, 2.0) is None
    assert one.connected(3.0) is None
    one.begin(4.0)
    assert one.state is State.LOCKED
    one.unlock()
    assert one.connected(5.0) == Send(Kind.AUTHENTICATE)


def test_other_refusals_are_tried_three_times_with_growing_pauses() -> None:
    """The front drops at lunch and its first answer after that is "not initialised" (7)."""
    one = brain(MARKET_STEPS)
    one.connected(0.0)
    assert one.answered(Kind.LOGIN, 7, 0.1) is None
    assert one.timer(0.2) is None
    assert one.timer(1.2) == Send(Kind.LOGIN)
    assert one.answered(Kind.LOGIN, 7, 1.3) is None
    assert one.timer(2.0) is None
    assert one.timer(3.4) == Send(Kind.LOGIN)
    one.answered(Kind.LOGIN, 7, 3.5)
    assert one.state is State.LOCKED


def test_a_success_and_a_new_section_begin_the_count_again() -> None:
    hours = Hours()
    one = brain(MARKET_STEPS, hours)
    one.connected(0.0)
    for at in (0.0, 10.0):
        one.answered(Kind.LOGIN, 7, at)
        assert one.timer(at + 5.0) == Send(Kind.LOGIN)
    assert one.tries == 2
    hours.is_open = False
    one.timer(16.0)
    hours.is_open = True
    one.timer(17.0)
    assert one.tries == 0
    one.answered(Kind.LOGIN, 7, 18.0)
    assert one.timer(30.0) == Send(Kind.LOGIN)
    one.answered(Kind.LOGIN, 0, 31.0)
    assert one.tries == 0 and one.is_in


def test_outside_the_sections_it_waits_longer() -> None:
    one = brain(MARKET_STEPS, Hours(False))
    one.connected(0.0)
    one.answered(Kind.LOGIN, 7, 0.0)
    assert one.timer(4.9) is None
    assert one.timer(10.0) == Send(Kind.LOGIN)


def test_a_front_that_never_answers_is_left_for_a_new_object() -> None:
    """The library itself says nothing when nobody listens, or when a server accepts and stays silent."""
    one = brain()
    assert one.timer(29.9) is None
    assert one.timer(30.0) == Renew()
    assert one.timer(30.1) is None
    one.begin(31.0)
    assert one.timer(61.0) == Renew()
    assert one.connected(70.0) == Send(Kind.AUTHENTICATE)
    assert one.timer(79.9) is None
    assert one.timer(80.0) == Renew()  # connected, but no answer
    assert "authenticate" in one.reason


def test_a_request_the_library_does_not_send_is_no_try() -> None:
    one = brain(MARKET_STEPS)
    one.connected(0.0)
    for _ in range(5):
        assert one.refused(-1, 0.0) is None
        assert one.timer(60.0) == Send(Kind.LOGIN)
    assert one.tries == 0 and one.state is State.CONNECTED


def test_answers_to_other_requests_mean_nothing() -> None:
    one = brain()
    one.connected(0.0)
    assert one.answered(Kind.CONFIRM, 0, 0.1) is None
    assert one.answered(Kind.QRY_ACCOUNT, 90, 0.1) is None
    assert one.state is State.CONNECTED
