"""The `upstream` source: another process's market feed, by DIFF.

What it is asked for is what the settings name and what anyone subscribes to here. The feed sends changes;
full rows come out, under the feed's own stamps.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from qautlra._core.quotes_diff import QuoteMerger, heads
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, wall_ns
from qautlra.base.errors import ConfigError, LinkError
from qautlra.base.limits import SYMBOLS_PER_CLIENT_COUNT
from qautlra.base.log import get_logger
from qautlra.base.secret import Secret
from qautlra.link.diff_client import DiffClient, DiffClientOptions
from qautlra.link.web_socket import check_certificates, check_url
from qautlra.source.base import Source, SourceContext

BEHIND = "all it sends is older than what came before: that is stored, and not shown until it has caught up"
STREAMS = ("futures_market", "stock_market", "market_data")
DEMAND_DELAY_S = 0.05
BEHIND_S = 10.0
RECORDED_S = 86_400.0  # stamps this far from now are of a recorded or simulated market: no latency
_LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """`instruments` are asked for as they are spelled: some gateways know no other spelling."""

    client: DiffClientOptions
    instruments: tuple[str, ...] = field(default=())

    @classmethod
    def parse(
        cls,
        *,
        url: str,
        instruments: Sequence[str] = (),
        stream: str = "futures_market",
        username: str = "",
        password: Secret | None = None,
        silence_s: float = 30.0,
        retry_max_s: float = 20.0,
        ca_path: str = "",
    ) -> UpstreamOptions:
        """Return options of the settings `source.upstream.*`; ConfigError names the wrong one."""
        try:
            check_url(url)
        except LinkError as error:
            raise ConfigError(
                error.message, key="source.upstream.url", expected="ws://host:port/path"
            ) from None
        if stream not in STREAMS:
            raise ConfigError(
                "quotes are not filed under this name: futures and options go to futures_market, all else to "
                "stock_market",
                key="source.upstream.stream",
                value=stream,
                expected="one of " + ", ".join(STREAMS),
            )
        headers: tuple[tuple[str, str], ...] = ()
        if username:
            secret = password.reveal() if password is not None else ""
            token = base64.b64encode(f"{username}:{secret}".encode()).decode()
            headers = (("Authorization", f"Basic {token}"),)
        check_certificates(ca_path, "source.upstream.ca_path")
        client = DiffClientOptions(
            url,
            headers,
            SYMBOLS_PER_CLIENT_COUNT,
            silence_s=silence_s,
            retry_max_s=retry_max_s,
            ca_path=ca_path,
        )
        return cls(client, tuple(dict.fromkeys(name for one in instruments if (name := one.strip()))))


class UpstreamSource(Source):
    """Publishes what the other feed sends. Being cut off is a state of it, not a failure."""

    def __init__(self, context: SourceContext, options: UpstreamOptions) -> None:
        super().__init__(context, "upstream")
        self._options = options
        self._merger = QuoteMerger(context.instruments, max_instruments=SYMBOLS_PER_CLIENT_COUNT)
        self._client = DiffClient(options.client, self._take, on_connected=self._merger.forget)
        self._timer: asyncio.TimerHandle | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._unknown: list[str] = []
        self._wanted: dict[str, None] = {}
        "The demand, newest first."
        self._rows = 0
        self._last_ns = 0
        self._lag_s: float | None = None
        self._behind: tuple[float, float] | None = None
        "Monotonic seconds of the first and the last rows in a run that all are older than what came before."
        self._latency = metrics.histogram(
            "qautlra_source_latency_seconds", "Receipt minus the source's own stamp", _LATENCY_S, ["source"]
        ).labels("upstream")

    # --- life ---

    async def start(self) -> None:
        """Know what is stored, ask for what is wanted, and connect in the background."""
        tape = self.context.tape
        for instrument in tape.seen():
            self._merger.restore(tape.last_row(instrument))
        self._unlisten()
        self._unlisten = self.context.demand.listen(self._demand_changed)
        self._ask()
        self._watch()
        self.spawn(self._client.run(), "link")

    async def stop(self, grace_s: float) -> None:
        """Hang up."""
        self._unlisten()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await super().stop(grace_s)

    def health(self) -> dict[str, Any]:
        """Return whether the feed is there, what is asked of it, and what was odd in what it sent."""
        client, talk, merger = self._client, self._client.conversation, self._merger
        self.state = client.state
        round_trip_s = client.round_trip_s()
        report = super().health() | {
            "rows": self._rows,
            "connected": client.is_connected,
            "url": client.shown_url,
            "instruments": len(talk.names),
            "pushed": talk.pushes,
            "connects": client.connects_count,
            "last_tick": _iso(self._last_ns) if self._last_ns else None,
            "latency_s": self._lag_s,
            "round_trip_s": round(round_trip_s, 6) if round_trip_s is not None else None,
        }
        if not talk.names:
            report["note"] = (
                "nothing is asked for: name instruments (source.upstream.instruments) or subscribe"
            )
        if is_behind := self._is_behind():
            report["behind"] = True
        odd = {
            "error": client.error or (BEHIND if is_behind else ""),
            "bad_frames": talk.bad_frames_count,
            "refused": merger.refused,
            "first_refusal": merger.first_refusal,
            "unwanted": merger.unwanted,
            "undated": merger.undated,
            "late": merger.late,
            "left_out": talk.left_out_count,
            "unknown_instruments": self._unknown[:20],
            "complaints": talk.complaints,
        }
        return report | {name: value for name, value in odd.items() if value}

    def _is_behind(self) -> bool:
        return self._behind is not None and self._behind[1] - self._behind[0] >= BEHIND_S

    # --- what is wanted ---

    def _demand_changed(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DEMAND_DELAY_S, self._ask)

    def _ask(self) -> None:
        """Subscribe to the settings' names as spelled, and to the demand's under full names."""
        self._timer = None
        names: dict[str, str] = {}
        self._unknown = []
        for name in self._options.instruments:
            symbol = self.context.instruments.canonical(name)
            if symbol is None:
                self._unknown.append(name)
            else:
                names.setdefault(symbol, name)
        if self._unknown:
            get_logger("source").warning("not_instruments", source=self.name, names=self._unknown[:20])
        for symbol in self._ranked(self.context.demand.wanted):
            names.setdefault(symbol, symbol)
        self._merger.want(names)
        self._client.want(names.values())

    def _ranked(self, wanted: frozenset[str]) -> list[str]:
        """Return the demand as the feed is asked for it: what is quoted, then what was wanted last.

        Names a feed does not have are never quoted. However many of them somebody asks for, whatever has
        prices stays, and what is wanted next is asked for once.
        """
        fresh = sorted(wanted.difference(self._wanted))
        self._wanted = {symbol: None for symbol in (*fresh, *self._wanted) if symbol in wanted}
        tape, instruments = self.context.tape, self.context.instruments
        quoted = {instruments.symbol(number) for number in tape.seen()}
        return sorted(self._wanted, key=lambda symbol: symbol not in quoted)

    # --- what comes ---

    async def _take(self, patches: list[Any]) -> None:
        now_ns = wall_ns()
        late = self._merger.late
        rows = self._merger.rows(patches, now_ns)
        if not len(rows):
            return
        if self._merger.late - late < len(rows):
            self._behind = None
        else:
            now_s = monotonic_s()
            self._behind = (self._behind[0] if self._behind is not None else now_s, now_s)
        newest_ns = max(head[1] for head in heads(rows))
        self._last_ns = max(newest_ns, self._last_ns)
        lag_s = (now_ns - newest_ns) / 1e9
        if abs(lag_s) < RECORDED_S:
            self._lag_s = round(lag_s, 6)
            self._latency.observe(max(lag_s, 0.0))
        else:
            self._lag_s = None
        self.context.clock.advance_to(newest_ns)
        self._rows += await self.context.pump.publish(rows)

    def _watch(self) -> None:
        merger, talk = self._merger, self._client.conversation
        watch = metrics.watch
        watch("qautlra_source_upstream_rows", "Rows taken from the feed", lambda: self._rows, kind="counter")
        watch("qautlra_source_upstream_connected", "1 while connected", lambda: self._client.is_connected)
        watch(
            "qautlra_source_upstream_connects",
            "Connections made",
            lambda: self._client.connects_count,
            kind="counter",
        )
        watch(
            "qautlra_source_upstream_refused",
            "What the feed sent and was not used",
            lambda: {
                ("frame",): talk.bad_frames_count,
                ("quote",): merger.refused,
                ("unwanted",): merger.unwanted,
                ("undated",): merger.undated,
            },
            kind="counter",
            labels=["what"],
        )


def _iso(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat(timespec="milliseconds")
