"""Ticks from CTP's callback thread to where a program can use them: our client's batches, openctp_ctp, vn.py.

One stand-in front sends each in turn a tick that the drop-in library repeats N times, so all have the same
producer; measured from the subscription to the last tick. openctp_ctp is a test dependency, vn.py (vnpy_ctp's
queue) runs where QAUTLRA_VNPY_PYTHON names an interpreter that has it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import _bench

_bench.import_product()

from qautlra.cli.ctp_sim import prepared  # noqa: E402
from qautlra.link.ctp_library import simulated_library  # noqa: E402
from qautlra.wire.ctp_frames import Kind, Reader, frame, welcome  # noqa: E402
from qautlra.wire.ctp_records import DBL_MAX, layout  # noqa: E402

CONTESTANT = Path(__file__).with_name("_ctp_contestant.py")
SLOW_RATIO = 10  # what Python callbacks take a tenth of


def main() -> None:
    """Let each take its turn and print the line."""
    chosen = _bench.options(__doc__ or "")
    rounds, ticks = (2, 20_000) if chosen.short else (7, 200_000)
    front = Front(ticks)
    parts = {"ours": [sys.executable], "ours_rows": [sys.executable], "openctp_ctp": [sys.executable]}
    vnpy = os.environ.get("QAUTLRA_VNPY_PYTHON", "")
    if vnpy:
        parts["vnpy"] = [vnpy]
    racing = {name: Contestant(name, command, front.address) for name, command in parts.items()}
    rates: dict[str, list[float]] = {name: [] for name in racing}
    cpu_ns: dict[str, list[float]] = {name: [] for name in racing}
    for _ in range(rounds):
        for name, one in racing.items():
            count = ticks if name.startswith("ours") else ticks // SLOW_RATIO
            took = one.race(count)
            rates[name].append(count / took["wall_s"])
            cpu_ns[name].append(took["cpu_s"] / count * 1e9)
    for one in racing.values():
        one.end()
    spread = {name: _bench.spread(values, 0) for name, values in rates.items()}
    ours = spread["ours"]["median"]
    _bench.report(
        "ctp",
        value_per_s=spread["ours"],
        rows_per_s=spread["ours_rows"],
        cpu_ns={name: _bench.spread(values, 0) for name, values in cpu_ns.items()},
        control="the same producer into openctp_ctp's callback"
        + (", and into vn.py's queue" if vnpy else "; vn.py not measured: QAUTLRA_VNPY_PYTHON is not set"),
        openctp_ctp_per_s=spread["openctp_ctp"],
        ratio_to_openctp_ctp=round(ours / spread["openctp_ctp"]["median"], 1),
        target_ratio_to_openctp_ctp=30,
        **(
            {
                "vnpy_per_s": spread["vnpy"],
                "ratio_to_vnpy": round(ours / spread["vnpy"]["median"], 1),
                "target_ratio_to_vnpy": 40,
            }
            if vnpy
            else {}
        ),
        ticks=ticks,
        note="ours: bytes of normalised ticks on the event loop; ours_rows: the same as rows for the tape; "
        "the others count in their callback and read nothing. One instrument, no network parsing.",
    )


class Front(threading.Thread):
    """Accepts market Api objects and sends each subscription a tick repeated as often as it names."""

    def __init__(self, ticks: int) -> None:
        super().__init__(daemon=True)
        self._ticks = ticks
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.start()

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = Reader(1 << 19)
        while data := connection.recv(1 << 16):
            for got in reader.feed(data):
                if got.kind == Kind.HELLO:
                    connection.sendall(welcome())
                elif got.kind == Kind.LOGIN:
                    connection.sendall(
                        frame(Kind.LOGIN, layout("RspUserLogin").pack({}), request=got.request, answer=True)
                    )
                elif got.kind == Kind.SUBSCRIBE:
                    count = int(got.record.split(b"\0")[0][2:])
                    record = tick("rb2701")
                    connection.sendall(frame(Kind.TICK_REPEAT, record, request=count))


def tick(code: str) -> bytes:
    """Return a depth record as a front sends it: five levels, the last four empty."""
    empty = {f"{side}Price{n}": DBL_MAX for side in ("Bid", "Ask") for n in range(2, 6)}
    prices = dict.fromkeys(("LastPrice", "OpenPrice", "HighestPrice", "LowestPrice"), 3150.0)
    limits = {"UpperLimitPrice": 3400.0, "LowerLimitPrice": 2900.0, "PreSettlementPrice": 3150.0}
    days = {"TradingDay": "20261130", "ActionDay": "20261130", "UpdateTime": "09:30:00"}
    return layout("DepthMarketData").pack(
        {
            **days,
            **prices,
            **limits,
            **empty,
            "InstrumentID": code,
            "ExchangeID": "SHFE",
            "BidPrice1": 3149.0,
            "AskPrice1": 3151.0,
            "BidVolume1": 10,
            "AskVolume1": 12,
            "Volume": 1,
            "Turnover": 31500.0,
        }
    )


class Contestant:
    """One process that takes ticks; it is asked for a round and says how long it took."""

    def __init__(self, name: str, command: list[str], front: str) -> None:
        own = name.startswith("ours")
        env = dict(os.environ) if own else prepared(dict(os.environ), front)
        if not own:
            env.pop("PYTHONPATH", None)
        env["QAUTLRA__CTP__ABI"] = "6.7.11"
        self._process = subprocess.Popen(
            [*command, str(CONTESTANT), name, front, str(simulated_library()), tempfile.mkdtemp()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
        )

    def race(self, count: int) -> dict[str, Any]:
        """Have `count` ticks taken."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):  # the vendor's library prints, too
            line = self._process.stdout.readline()
        found: dict[str, Any] = json.loads(line)
        assert found["ticks"] == count, found
        return found

    def end(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main()
