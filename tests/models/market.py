"""A small market for tests: exchanges with and without a night, independent of the project's data files."""

from typing import Any

from qautlra._core.market import Calendar, Instruments, Rows

CALENDAR = {
    "known_through": 20301231,
    "closed": {"2021": [20210101]},
    "sections": {
        "index": {"day": [["09:30", "11:30"], ["13:00", "15:00"]], "auction_minutes": 5},
        "metal": {
            "night": [["21:00", "26:30"]],
            "day": [["09:00", "10:15"], ["10:30", "11:30"], ["13:30", "15:00"]],
            "auction_minutes": 5,
            "day_auction_since": 20230526,
        },
    },
}
PRODUCTS = {
    "exchanges": {
        "CFFEX": {"kind": "futures", "case": "upper"},
        "SHFE": {"kind": "futures", "case": "lower"},
    },
    "products": {
        "CFFEX.IF": {"price_tick": 0.2, "volume_multiple": 300, "sections": "index"},
        "SHFE.au": {"price_tick": 0.02, "volume_multiple": 1000, "sections": "metal"},
    },
}
SYMBOLS = ("CFFEX.IF2101", "SHFE.au2106", "SHFE.au2112", "CFFEX.IF2103")
MORNING_NS = 1_609_723_800_000_000_000  # 2021-01-04 09:30:00 in Beijing


class Market:
    """Instruments 0..3 are SYMBOLS."""

    def __init__(self) -> None:
        self.calendar = Calendar(CALENDAR, PRODUCTS)
        self.instruments = Instruments(self.calendar)
        for symbol in SYMBOLS:
            self.instruments.intern(symbol)

    def rows(self, *dicts: dict[str, Any]) -> Rows:
        rows = Rows(self.instruments)
        for values in dicts:
            rows.append_dict(self.instruments, values)
        return rows
