"""The golden answers of the public sites: bytes one file per case; they are the fuzz seeds too."""

import datetime as dt
from pathlib import Path
from typing import Any

from qautlra._core.market import Instruments
from qautlra._core.quotes import QuoteNormaliser
from qautlra.model.calendar import load_calendar

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
CALENDAR = load_calendar()
BEIJING = dt.timezone(dt.timedelta(hours=8))
FRIDAY = "2025-11-21 10:30:30"


def table() -> Instruments:
    return Instruments(CALENDAR, 20251121)


def ns(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=BEIJING)
    return int((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)) * 1000


def golden(site: str, name: str) -> bytes:
    return (CORPUS / site / name).read_bytes()


def read(normaliser: QuoteNormaliser, body: bytes, now: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows as dicts, each with its phase, and {symbol: reason} of what was refused."""
    rows, refused = normaliser.rows(body, ns(now))
    dicts = rows.to_dicts()
    assert len(normaliser.phases) == len(dicts)
    for row, phase in zip(dicts, normaliser.phases, strict=True):
        row["phase"] = phase
    return dicts, dict(refused)


def values(row: dict[str, Any]) -> dict[str, Any]:
    """What the row has, without what every row has."""
    aside = ("seq", "recv_time_ns", "source", "phase", "datetime", "trading_day", "instrument_id")
    return {key: value for key, value in row.items() if value is not None and key not in aside}
