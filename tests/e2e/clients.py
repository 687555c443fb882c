"""Plain clients written from the wire contract, on the `websockets` library; they import nothing of ours."""

import gzip
import json
import threading
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def merge(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    """RFC 7386 over objects: null deletes, objects recurse, anything else replaces."""
    for key, value in patch.items():
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict):
            node = tree.get(key)
            if not isinstance(node, dict):
                node = tree[key] = {}
            merge(node, value)
        else:
            tree[key] = value


class DiffClient(threading.Thread):
    """Subscribes as TqSdk does and peeks once per answer, until `done(tree)` or the deadline."""

    def __init__(self, url: str, symbols: str, done: Any, peek: bool = True) -> None:
        super().__init__(daemon=True)
        self.url, self.symbols, self.done, self.peek = url, symbols, done, peek
        self.tree: dict[str, Any] = {}
        self.sizes: list[int] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with connect(self.url, max_size=None) as ws:
                if self.peek:
                    ws.send('{"aid":"peek_message"}')
                ws.send(json.dumps({"aid": "subscribe_quote", "ins_list": self.symbols}))
                if self.peek:
                    ws.send('{"aid":"peek_message"}')
                while True:
                    frame = ws.recv(timeout=60)
                    message = json.loads(frame)
                    if message.get("aid") != "rtn_data":
                        continue
                    quotes = [part["quotes"] for part in message["data"] if "quotes" in part]
                    for part in message["data"]:
                        merge(self.tree, part)
                    if quotes:
                        self.sizes.append(len(frame))
                    if self.done(self.tree):
                        return
                    if self.peek:
                        ws.send('{"aid":"peek_message"}')
        except (OSError, TimeoutError, ConnectionClosed, ValueError) as error:
            self.error = error


class LegacyClient(threading.Thread):
    """Subscribes with the `type` dialect and keeps both kinds of frame it is sent."""

    def __init__(self, url: str, symbols: list[str], done: Any) -> None:
        super().__init__(daemon=True)
        self.url, self.symbols, self.done = url, symbols, done
        self.tree: dict[str, Any] = {}
        self.market_data: dict[str, dict[str, Any]] = {}
        self.texts: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with connect(self.url, max_size=None) as ws:
                ws.send(json.dumps({"type": "subscribe", "payload": {"instruments": self.symbols}}))
                while True:
                    message = json.loads(ws.recv(timeout=60))
                    if message.get("aid") == "rtn_data":
                        for part in message["data"]:
                            merge(self.tree, part)
                    elif message.get("type") == "market_data":
                        data = message["payload"]["data"]
                        self.market_data[data["instrument_id"]] = data
                    else:
                        self.texts.append(json.dumps(message))
                    if self.done(self.tree) and message.get("type") == "market_data":
                        return
        except (OSError, TimeoutError, ConnectionClosed, ValueError) as error:
            self.error = error


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The raw rows of a CTP tick file."""
    import csv

    with gzip.open(path, "rt", encoding="ascii") as file:
        return list(csv.DictReader(file))


def beijing(row: dict[str, str]) -> str:
    day = row["ActionDay"]
    return f"{day[:4]}-{day[4:6]}-{day[6:]} {row['UpdateTime']}.{int(row['UpdateMillisec']):03d}000"


def expected_quote(row: dict[str, str]) -> dict[str, Any]:
    """What a client's tree must hold for a raw CTP row: numbers, or None for no value."""
    number = {
        "last_price": "LastPrice", "pre_settlement": "PreSettlementPrice", "pre_close": "PreClosePrice",
        "pre_open_interest": "PreOpenInterest", "open": "OpenPrice", "highest": "HighestPrice",
        "lowest": "LowestPrice", "volume": "Volume", "amount": "Turnover", "open_interest": "OpenInterest",
        "close": "ClosePrice", "settlement": "SettlementPrice", "upper_limit": "UpperLimitPrice",
        "lower_limit": "LowerLimitPrice", "bid_price1": "BidPrice1", "bid_volume1": "BidVolume1",
        "ask_price1": "AskPrice1", "ask_volume1": "AskVolume1",
    }  # fmt: skip
    quote: dict[str, Any] = {
        name: float(row[column]) if row[column] != "" else None for name, column in number.items()
    }
    quote["average"] = float(row["AveragePrice"]) / 300
    quote["datetime"] = beijing(row)
    return quote


def assert_quote_is(quote: dict[str, Any], row: dict[str, str]) -> None:
    for name, wanted in expected_quote(row).items():
        got = quote.get(name)
        if wanted is None:
            assert got in (None, "-"), (name, got)
        elif name == "average":
            assert abs(got - wanted) < 1e-9, (name, got, wanted)
        else:
            assert got == wanted, (name, got, wanted)
