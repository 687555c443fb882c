"""bench: helper. One taker of ticks for `ctp.py`, run in an interpreter that has its client.

Reads a count per line, has that many ticks sent, prints how long they took and what CPU that cost.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from typing import Any

WHO, FRONT, LIBRARY, FLOW = sys.argv[1:5]
WAIT_S = 60.0


def ours() -> Any:
    """Our client read as the event loop reads it; with rows when asked."""
    from qautlra._core.ctp import FRONT_CONNECTED, TICK_BYTES, Client, Library
    from qautlra._core.ctp_feed import CtpTicks
    from qautlra.wire.ctp_frames import Kind
    from qautlra.wire.ctp_records import layout

    client = Client(Library(LIBRARY, True), flow=FLOW + "/", fronts=[FRONT], ticks=1 << 18)
    client.start()
    state = 0
    while state < 2:
        select.select([client.fd], [], [], 1.0)
        for event in client.take()[1]:
            if event[0] == FRONT_CONNECTED:
                client.request(Kind.LOGIN, layout("ReqUserLogin").pack({"BrokerID": "9999"}), 1)
            state += event[0] in (FRONT_CONNECTED, Kind.LOGIN)
    normaliser = None
    if WHO == "ours_rows":
        from qautlra.model.calendar import load_calendar, load_instruments

        instruments = load_instruments()
        normaliser = CtpTicks(instruments, instruments.calendar)
        assert load_calendar is not None

    def take(count: int) -> int:
        client.subscribe([f"rb{count}"])
        got = 0
        while got < count:
            select.select([client.fd], [], [], 1.0)
            ticks, _ = client.take()
            if normaliser is not None and ticks:
                normaliser.rows(ticks, now_ns=0, recorded=True)
            got += len(ticks) // TICK_BYTES
        return got

    return take


def openctp() -> Any:
    """openctp_ctp, counting in its callback."""
    from openctp_ctp import mdapi

    class Spi(mdapi.CThostFtdcMdSpi):
        def __init__(self) -> None:
            super().__init__()
            self.count, self.wanted = 0, -1
            self.done, self.ready = threading.Event(), threading.Event()

        def OnFrontConnected(self) -> None:
            api.ReqUserLogin(mdapi.CThostFtdcReqUserLoginField(), 1)

        def OnRspUserLogin(self, *_: Any) -> None:
            self.ready.set()

        def OnRtnDepthMarketData(self, _tick: Any) -> None:
            self.count += 1
            if self.count == self.wanted:
                self.done.set()

    spi = Spi()
    api = mdapi.CThostFtdcMdApi.CreateFtdcMdApi(FLOW + "/")
    api.RegisterSpi(spi)
    api.RegisterFront(FRONT)
    api.Init()
    assert spi.ready.wait(WAIT_S)
    return taker(spi, lambda code: api.SubscribeMarketData([code.encode()], 1))


def vnpy() -> Any:
    """vnpy_ctp: a queue and a thread of its own, counting in the callback."""
    from vnpy_ctp.api import MdApi

    class Api(MdApi):
        def __init__(self) -> None:
            super().__init__()
            self.count, self.wanted = 0, -1
            self.done, self.ready = threading.Event(), threading.Event()

        def onFrontConnected(self) -> None:
            self.reqUserLogin({"UserID": "u", "Password": "p", "BrokerID": "9999"}, 1)

        def onRspUserLogin(self, *_: Any) -> None:
            self.ready.set()

        def onRtnDepthMarketData(self, _tick: dict[str, Any]) -> None:
            self.count += 1
            if self.count == self.wanted:
                self.done.set()

    api = Api()
    api.createFtdcMdApi(FLOW.encode("gbk") + b"/", True)
    api.registerFront(FRONT)
    api.init()
    assert api.ready.wait(WAIT_S)
    return taker(api, api.subscribeMarketData)


def taker(spi: Any, subscribe: Any) -> Any:
    """Return what subscribes and waits for the last callback."""

    def take(count: int) -> int:
        spi.count, spi.wanted = 0, count
        spi.done.clear()
        subscribe(f"rb{count}")
        assert spi.done.wait(WAIT_S)
        return int(spi.count)

    return take


def main() -> None:
    """Serve rounds until the input ends."""
    take = {"openctp_ctp": openctp, "vnpy": vnpy}.get(WHO, ours)()
    for line in sys.stdin:
        began_s, cpu_s = time.perf_counter(), time.process_time()
        ticks = take(int(line))
        took = {"wall_s": time.perf_counter() - began_s, "cpu_s": time.process_time() - cpu_s}
        print(json.dumps({"ticks": ticks, **took}), flush=True)
    os._exit(0)


main()
