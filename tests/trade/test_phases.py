"""Auctions and sections of a trading day."""

from __future__ import annotations

import pytest

from qautlra._core import book
from qautlra.model.calendar import load_calendar
from qautlra.trade.phases import Phases
from tests.trade.rig import beijing_ns

PHASES = Phases(load_calendar())


@pytest.mark.parametrize(
    ("symbol", "now", "phase"),
    [
        ("SHFE.au2512", "2025-06-04 02:29:59", book.CONTINUOUS),
        ("SHFE.au2512", "2025-06-04 08:54:59", book.BREAK),
        ("SHFE.au2512", "2025-06-04 08:55:00", book.AUCTION),
        ("SHFE.au2512", "2025-06-04 08:59:00", book.AUCTION_MATCHED),
        ("SHFE.au2512", "2025-06-04 09:00:00", book.CONTINUOUS),
        ("SHFE.au2512", "2025-06-04 10:29:59", book.BREAK),
        ("DCE.m2509", "2025-06-04 08:56:00", book.AUCTION),
        ("INE.sc2508", "2025-06-04 08:56:00", book.AUCTION),
        ("CZCE.SR509", "2025-06-04 08:56:00", book.BREAK),  # withdrawals only
        ("GFEX.si2509", "2025-06-04 08:56:00", book.AUCTION),  # its first section
        ("SHFE.au2308", "2023-05-25 08:56:00", book.BREAK),
        ("SHFE.au2308", "2023-05-26 08:56:00", book.AUCTION),
        ("SHFE.au2512", "2025-06-04 15:00:00", book.CLOSED),
        ("CFFEX.IF2506", "2025-06-04 12:57:00", book.BREAK),
        ("SSE.600000", "2025-06-04 09:21:00", book.AUCTION_LOCKED),
        ("SSE.600000", "2025-06-04 14:58:00", book.AUCTION_LOCKED),
    ],
)
def test_phases(symbol: str, now: str, phase: int) -> None:
    assert PHASES.at(symbol, beijing_ns(now)).phase == phase


def test_the_last_phase_ends_with_its_day() -> None:
    last = PHASES.at("SHFE.au2512", beijing_ns("2025-06-06 15:30:00"))  # a Friday
    assert last.is_last and last.until_ns == beijing_ns("2025-06-06 18:00:00")
    weekend = PHASES.at("SHFE.au2512", beijing_ns("2025-06-07 12:00:00"))
    assert (weekend.phase, weekend.is_last) == (book.BREAK, False)


def test_a_contract_that_has_ended_is_asked_about_again() -> None:
    ended = ["SHFE.au2506"]
    phases = Phases(load_calendar(), lambda symbol, day: symbol in ended and day > 20250616)
    assert phases.at("SHFE.au2506", beijing_ns("2025-06-16 10:00:00")).phase == book.CONTINUOUS
    now = beijing_ns("2025-06-17 10:00:00")
    closed = phases.at("SHFE.au2506", now)
    assert (closed.phase, closed.is_last, closed.until_ns - now) == (book.CLOSED, True, 60_000_000_000)
    assert phases.at("SHFE.au2508", now).phase == book.CONTINUOUS
    ended.clear()  # the market shows it still
    assert phases.at("SHFE.au2506", closed.until_ns).phase == book.CONTINUOUS
