"""Random days as clients of every dialect and spelling see them: the last row, under their own name."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feed.rig import Peer, Rig
from tests.models import hub as naive

SYMBOL = "SHFE.au2106"
SPELLINGS = ("SHFE.au2106", "au2106", "SHFE_au2106")
SUBSCRIBE = {
    "aid": lambda name: {"aid": "subscribe_quote", "ins_list": name},
    "type": lambda name: {"type": "subscribe", "payload": {"instruments": [name]}},
    "op": lambda name: {"op": "subscribe", "symbols": [name]},
    "action": lambda name: {"action": "subscribe", "instruments": [name]},
}
LEAVE = {
    "aid": lambda _name: {"aid": "subscribe_quote", "ins_list": ""},
    "type": lambda name: {"type": "unsubscribe", "payload": {"instruments": [name]}},
    "op": lambda name: {"op": "unsubscribe", "symbols": [name]},
    "action": lambda name: {"action": "unsubscribe", "instruments": [name]},
}
CORE_BACK = {theirs: ours for ours, theirs in naive.CORE_NAMES.items()}
MERGED = {"aid": naive.DIFF, "type": naive.LEGACY_RTN, "action": naive.LEGACY_RTN}


class Reader:
    """One client: subscribes in its dialect under its spelling and keeps what it is sent."""

    def __init__(self, rig: Rig, dialect: str, spelling: str) -> None:
        self.dialect, self.spelling = dialect, spelling
        self.peer = Peer(rig)
        self.whole: dict[str, Any] = {}  # the last frame that is whole: market_data, or CORE's
        self.watching = False
        self.toggle()

    def toggle(self) -> None:
        message = (LEAVE if self.watching else SUBSCRIBE)[self.dialect](self.spelling)
        self.watching = not self.watching
        self.keep(self.peer.say(message))

    def keep(self, found: list[Any]) -> None:
        for message in found:
            if message.get("type") == "market_data":
                self.whole = message["payload"]["data"]
            elif message.get("topic") == "marketdata":
                self.whole = message["data"]
            for part in message.get("data", []) if message.get("aid") == "rtn_data" else []:
                assert set(part.get("quotes", {})) <= {self.spelling}

    def check(self, row: dict[str, Any]) -> None:
        if not self.watching:
            return
        if (style := MERGED.get(self.dialect)) is not None:
            assert set(self.peer.tree["quotes"]) == {self.spelling}
            self._check(style, self.peer.tree["quotes"][self.spelling], row)
        if self.dialect == "type":
            self._check(naive.LEGACY_MARKET_DATA, self.whole, row)
        if self.dialect == "op":
            self._check(
                naive.CORE, {CORE_BACK.get(key, key): value for key, value in self.whole.items()}, row
            )

    def _check(self, style: int, quote: dict[str, Any], row: dict[str, Any]) -> None:
        assert quote["instrument_id"] == self.spelling
        for name in naive.NAMES[1:]:
            if style == naive.CORE and name == "iopv":
                continue  # it has no such word
            if row.get(name) is None:
                assert quote.get(name) in (None, "-", 0), (self.dialect, name)
            else:
                assert quote[name] == naive.value_of(style, name, row), (self.dialect, name)


price = st.none() | st.sampled_from([0.02, 390.5, 391.02, -1.5])
count = st.none() | st.integers(0, 10**9)
changes = st.dictionaries(st.sampled_from(naive.NAMES[1:]), st.none(), max_size=6).flatmap(
    lambda names: st.fixed_dictionaries({n: count if n in naive.COUNTS else price for n in names})
)
step = (
    st.tuples(st.just("tick"), changes)
    | st.tuples(st.just("wait"), st.sampled_from([0.05, 0.15, 1.0]))
    | st.tuples(st.just("toggle"), st.integers(0, 11))
)


@settings(deadline=None)
@given(st.lists(step, max_size=25), st.booleans())
def test_every_dialect_ends_with_the_last_row(story: list[tuple[str, Any]], incremental: bool) -> None:
    rig = Rig(incremental=incremental)
    try:
        readers = [Reader(rig, dialect, spelling) for dialect in SUBSCRIBE for spelling in SPELLINGS]
        row: dict[str, Any] = {"last_price": 390.0}
        for what, argument in [("tick", {}), *story, ("tick", {"volume": 7}), ("wait", 1.0)]:
            if what == "tick":
                row |= argument
                rig.tick((SYMBOL, dict(row)))
            elif what == "wait":
                rig.loop.advance(argument)
            else:
                readers[argument].toggle()
            for reader in readers:
                reader.keep(reader.peer.read())
        for reader in readers:
            reader.check(row)
    finally:
        rig.close()
