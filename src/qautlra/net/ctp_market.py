"""A market Api object of a CTP program: login, subscriptions, ticks. Frames in, frames out, no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from qautlra.wire import ctp_codes as codes
from qautlra.wire.ctp_frames import Frame, Kind, frame
from qautlra.wire.ctp_login import LoginReply
from qautlra.wire.ctp_records import layout

SUBSCRIBE_COUNT = 5000


class Feed(Protocol):
    """`_core.ctp_feed.CtpFeed` as far as sessions need it."""

    def open(self) -> int: ...
    def close(self, client: int) -> None: ...
    def subscribe(self, client: int, code: str) -> int: ...
    def unsubscribe(self, client: int, code: str) -> bool: ...
    def hold(self, client: int, held: bool) -> None: ...


class MarketSession:
    """Owner: its connection. Subscriptions need a login, which any user may make, as on most fronts."""

    def __init__(
        self,
        feed: Feed,
        send: Callable[[bytes], None],
        *,
        reply: Callable[[], LoginReply],
        flush: Callable[[], None],
        wanted: Callable[[str], bool] = lambda _code: False,
    ) -> None:
        self._feed = feed
        self._send = send
        self._reply = reply
        self._flush = flush
        self._wanted = wanted
        self._logged_in = False
        self.codes: set[str] = set()
        "What is subscribed."
        self.client = feed.open()

    def close(self) -> None:
        """Forget the subscriptions."""
        self._feed.close(self.client)

    def hold(self, held: bool) -> None:
        """While the connection takes nothing more, ticks become the latest of their instrument."""
        self._feed.hold(self.client, held)

    def on_frame(self, got: Frame) -> None:
        """Answer one request; ValueError when it is not one."""
        if got.kind == Kind.LOGIN:
            asked = got.asked()
            self._logged_in = True
            reply = self._reply().record(asked.text("BrokerID"), asked.text("UserID"))
            self._send(frame(Kind.LOGIN, reply, request=got.request, answer=True))
        elif got.kind == Kind.LOGOUT:
            self._logged_in = False
            self._send(frame(Kind.LOGOUT, got.record, request=got.request, answer=True))
        elif got.kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE):
            self._subscribe(got.kind, [one for one in got.record.split(b"\0") if one], got.request)
        elif got.kind != Kind.HEARTBEAT:
            code = codes.UNSUPPORTED
            self._send(frame(Kind.ERROR, request=got.request, error=code, text=codes.text(code), answer=True))

    def _subscribe(self, kind: int, names: list[bytes], request: int) -> None:
        for number, (name, error) in enumerate(self._subscribed(kind, names), 1):
            record = layout("SpecificInstrument").pack({"InstrumentID": name})
            self._send(
                frame(
                    kind,
                    record,
                    request=request,
                    error=error,
                    text=codes.text(error) if error else "",
                    answer=True,
                    last=number == len(names),
                )
            )
        self._flush()

    def _subscribed(self, kind: int, names: list[bytes]) -> Iterable[tuple[bytes, int]]:
        for name in names:
            code = name.decode("ascii", "replace")
            if not self._logged_in:
                yield name, codes.NOT_LOGGED_IN
            elif kind == Kind.UNSUBSCRIBE:
                self._feed.unsubscribe(self.client, code)
                self.codes.discard(code)
                yield name, 0
            else:
                refused = self._feed.subscribe(self.client, code)
                if refused == 1 and self._wanted(code):
                    refused = self._feed.subscribe(self.client, code)
                if not refused:
                    self.codes.add(code)
                yield name, {0: 0, 1: codes.INSTRUMENT_NOT_FOUND}.get(refused, codes.NO_PRIVILEGE)
