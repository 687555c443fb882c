"""What the polled quote sites share: who is asked for what, how often, and what an answer leaves behind.

One request is in flight at a time. A site that refuses, stalls or talks nonsense is asked ever less often and
shows it in health; it never ends the service. Parsing lives in the core, spellings and headers in `tencent`
and `sina`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp
from yarl import URL

from qautlra._core.market import Calendar, Instruments, Rows
from qautlra._core.quotes import FreshRows, QuoteNormaliser
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_random
from qautlra.base.errors import ConfigError, SourceError
from qautlra.base.log import get_logger
from qautlra.base.supervisor import Backoff
from qautlra.source.base import Source, SourceContext

ANSWER_BYTES: Final = 4 << 20
SHOWN_COUNT: Final = 20
MISSES_COUNT: Final = 3
MISSED_EVERY_ROUNDS: Final = 20
RETRY_AFTER_MAX_S: Final = 3600.0
GATHER_S: Final = 0.25
NO_ANSWER: Final = "the site does not answer for it"
NOT_THERE: Final = frozenset({NO_ANSWER, "the site does not know it", "delisted"})
BROWSER: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
)
_POLL_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class Site:
    """One quote site: the most symbols of a request, its headers, its paths and its parser."""

    name: str
    batch_count: int
    headers: Mapping[str, str]
    path: Callable[[Sequence[str], int], str]
    "Path and query for symbols and the wall time in ms."
    normaliser: Callable[[Instruments, Calendar], QuoteNormaliser]


@dataclass(frozen=True, slots=True)
class PollingOptions:
    """The settings `source.<site>.*`: `instruments` are polled whether a client wants them or not."""

    url: str
    interval_s: float = 3.0
    timeout_s: float = 10.0
    instruments: Sequence[str] = ()
    jitter_ratio: float = 0.1
    "Each wait is longer or shorter by up to so much of itself."
    calm_after_s: float = 300.0
    calm_factor: float = 5.0
    "After so long without anything new the interval is so many times as long."
    backoff_max_s: float = 300.0


class PollError(SourceError):
    """A request that brought nothing usable; `outcome` names the kind for metrics."""

    def __init__(self, message: str, outcome: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.retry_after_s = retry_after_s


class _Answer(NamedTuple):
    body: bytes
    latency_s: float


@cache
def _trusted() -> ssl.SSLContext:
    """Return what trusts whom the system does: our processes leave aiohttp's own without (`base.imports`)."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class PollingSource(Source):
    """Polls one site for what is wanted and publishes what is new. With nothing wanted it asks nothing.

    An answer is new when more than its clock moved; quotes of another trading day are never published.
    After `calm_after_s` without anything new it asks `calm_factor` times less often, until something is. A
    symbol the site did not know three times running is asked for in every twentieth round only.
    """

    def __init__(
        self,
        context: SourceContext,
        site: Site,
        options: PollingOptions,
        *,
        random: Random | None = None,
    ) -> None:
        super().__init__(context, site.name)
        _trusted()  # reads files: now, not on the loop
        self.site = site
        self.options = options
        self._random = random or new_random()
        self._normaliser = site.normaliser(context.instruments, context.calendar)
        self._fresh = FreshRows(context.instruments)
        self._pinned = self._configured()
        self._asked: dict[str, str] = dict(self._pinned)  # site's spelling -> symbol
        self._unserved: list[str] = []
        self._changed = asyncio.Event()
        self._gather_s = min(GATHER_S, options.interval_s / 4)  # clients come in groups
        self._unlisten: Callable[[], None] = lambda: None
        self._first = 0  # the batch the next round begins with
        self._backoff = self._new_backoff()
        self._retry_at_s = 0.0
        self._refused: dict[str, str] = {}
        self._misses: Counter[str] = Counter()  # answers in a row in which the site knew nothing of it
        self._rounds = 0
        self._phases: dict[str, str] = {}
        self._failing = 0
        self._last_error = ""
        self._success_s: float | None = None
        self._new_s = monotonic_s()
        self._latency_s = 0.0
        self._event_ns = 0
        self._counts: Counter[str] = Counter()
        self._polls = metrics.counter("qautlra_source_polls", "Requests to a site", ["source", "outcome"])
        self._quotes = metrics.counter("qautlra_source_quotes", "Quotes read", ["source", "outcome"])
        self._seconds = metrics.histogram(
            "qautlra_source_poll_seconds", "How long a site took to answer", _POLL_S, ["source"]
        )
        self._latency = metrics.histogram(
            "qautlra_source_latency_seconds", "Receipt minus the source's own stamp", _LATENCY_S, ["source"]
        )

    # --- demand ---

    def serves(self, symbol: str) -> bool:
        """Tell whether the site has quotes of this kind of instrument."""
        return self._normaliser.source_symbol(symbol) is not None

    def _ask(self) -> None:
        """Take up the demand and the configured instruments; what is new is asked for at once."""
        asked = dict(self._pinned)
        self._unserved = []
        for symbol in sorted(self.context.demand.wanted):
            spelling = self._normaliser.source_symbol(symbol)
            if spelling is None:
                self._unserved.append(symbol)
            else:
                asked[spelling] = symbol
        self._asked = asked
        self._refused = {one: why for one, why in self._refused.items() if one in asked}
        self._phases = {one: phase for one, phase in self._phases.items() if one in asked}
        self._misses = Counter({one: count for one, count in self._misses.items() if one in asked})
        self._changed.set()

    def phase(self, symbol: str) -> str:
        """Return "AUCTION", "PREOPEN", "SUSPENDED" or "" as the instrument's last quote said."""
        return self._phases.get(self._normaliser.source_symbol(symbol) or "", "")

    def _configured(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for spelling in self.options.instruments:
            symbol = self.context.instruments.canonical(spelling)
            there = self._normaliser.source_symbol(spelling) if symbol is not None else None
            if symbol is None or there is None:
                reason = "not an instrument" if symbol is None else f"{self.site.name} does not serve it"
                raise ConfigError(reason, key=f"source.{self.site.name}.instruments", value=spelling)
            found[there] = symbol
        return found

    # --- life ---

    async def start(self) -> None:
        """Take up the demand and poll in the background."""
        self._unlisten()
        self._unlisten = self.context.demand.listen(self._ask)
        self._ask()
        await super().start()

    async def stop(self, grace_s: float) -> None:
        """Ask nothing more."""
        self._unlisten()
        await super().stop(grace_s)

    async def run(self) -> None:
        """Poll round after round until cancelled."""
        self.state = "idle"
        async with self._session() as session:
            while True:
                if not self._asked:
                    self.state = "idle"
                    self._changed.clear()
                    await self._changed.wait()
                    await asyncio.sleep(self._gather_s)
                    continue
                began_s, known = monotonic_s(), set(self._asked)
                due = self._due()
                wait_s = await self._round(session, due) if due else self.options.interval_s
                await self._pause(session, known, began_s + wait_s)

    def _due(self) -> list[str]:
        self._rounds += 1
        if self._rounds % MISSED_EVERY_ROUNDS == 0:
            return list(self._asked)
        return [spelling for spelling in self._asked if self._misses[spelling] < MISSES_COUNT]

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers={"User-Agent": BROWSER, "Accept": "*/*", **self.site.headers},
            timeout=aiohttp.ClientTimeout(total=self.options.timeout_s),
            connector=aiohttp.TCPConnector(limit=1, ssl=_trusted()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _pause(self, session: aiohttp.ClientSession, asked: set[str], until_s: float) -> None:
        """Wait for the next round; meanwhile ask at once for what becomes wanted, unless the site refuses."""
        while (left_s := until_s - monotonic_s()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            if not self._changed.is_set():
                return
            new = [spelling for spelling in self._asked if spelling not in asked]
            if not new or self.state == "backoff":
                continue
            await asyncio.sleep(self._gather_s)
            new = [spelling for spelling in self._asked if spelling not in asked]
            asked.update(new)
            wait_s = await self._round(session, new)
            if self.state == "backoff":
                until_s = monotonic_s() + wait_s

    async def _round(self, session: aiohttp.ClientSession, asked: list[str]) -> float:
        """Ask for every batch once; return the seconds from the round's begin to the next one's."""
        batches = list(_batches(asked, self.site.batch_count))
        first = self._first % len(batches)
        for number, batch in enumerate(batches[first:] + batches[:first], first + 1):
            try:
                await self._poll(session, batch)
            except PollError as error:
                self._first = number  # or one bad batch would starve those after it
                return self._failed(error)
        self._first = 0
        if self._failing:
            get_logger("source").info("polling_recovered", source=self.site.name, after=self._failing)
        self._failing = 0
        self._backoff = self._new_backoff()
        self._retry_at_s = 0.0
        self.state = "running"
        interval_s = self.options.interval_s
        if monotonic_s() - self._new_s > max(self.options.calm_after_s, interval_s):
            self.state = "calm"
            interval_s *= self.options.calm_factor
        return interval_s * self._random.uniform(1 - self.options.jitter_ratio, 1 + self.options.jitter_ratio)

    def _failed(self, error: PollError) -> float:
        self._polls.labels(self.site.name, error.outcome).inc()
        self._counts["failures"] += 1
        self._failing += 1
        self._last_error = error.message
        delay_s = max(self._backoff.next_s(0.0), min(error.retry_after_s, RETRY_AFTER_MAX_S))
        self._retry_at_s = monotonic_s() + delay_s
        if self._failing == 1:
            get_logger("source").warning(
                "polling_failed", source=self.site.name, error=error.message, retry_in_s=round(delay_s, 3)
            )
        self.state = "backoff"
        return delay_s

    def _new_backoff(self) -> Backoff:
        least_s = 2 * self.options.interval_s
        return Backoff(least_s, max(self.options.backoff_max_s, least_s), self._random)

    # --- one request ---

    async def _poll(self, session: aiohttp.ClientSession, batch: list[str]) -> None:
        answer = await self._fetch(session, batch)
        now_ns = self.context.clock.now_ns()
        rows, refused = self._normaliser.rows(answer.body, now_ns, batch)
        answered = {rows.symbol(i): phase for i, phase in enumerate(self._normaliser.phases)}
        batch_set = set(batch)
        reasons = {one: why for one, why in refused if one in batch_set}
        # An empty answer is what unknown symbols get: no reason to ask less for the others.
        if refused and not answered and not reasons:
            raise PollError("the answer holds no quotes", "garbage")
        self._success_s = monotonic_s()
        self._latency_s = answer.latency_s
        self._polls.labels(self.site.name, "ok").inc()
        self._seconds.labels(self.site.name).observe(answer.latency_s)
        self._counts["polls"] += 1
        for spelling in batch:
            symbol = self._asked.get(spelling)
            if symbol in answered:
                self._refused.pop(spelling, None)
                self._misses.pop(spelling, None)
                self._phases[spelling] = answered[symbol]
            elif symbol is not None:
                self._refused[spelling] = reasons.get(spelling, NO_ANSWER)
                if self._refused[spelling] in NOT_THERE:
                    self._misses[spelling] += 1
                else:
                    self._misses.pop(spelling, None)
        self._quotes.labels(self.site.name, "refused").inc(self._normaliser.refused_count)
        await self._publish(rows, now_ns)

    async def _publish(self, rows: Rows, now_ns: int) -> None:
        unchanged = self._fresh.keep(rows, self.context.tape)
        self._counts["unchanged"] += unchanged
        self._quotes.labels(self.site.name, "unchanged").inc(unchanged)
        if not len(rows):
            return
        self._new_s = monotonic_s()
        newest_ns = max(rows.ts_event_ns(i) for i in range(len(rows)))
        self._event_ns = max(self._event_ns, newest_ns)
        self._latency.labels(self.site.name).observe(max(now_ns - newest_ns, 0) / 1e9)
        self.context.clock.advance_to(newest_ns)
        taken = await self.context.pump.publish(rows)
        self._counts["rows"] += taken
        self._quotes.labels(self.site.name, "published").inc(taken)

    async def _fetch(self, session: aiohttp.ClientSession, batch: list[str]) -> _Answer:
        path = self.site.path(batch, self.context.clock.now_ns() // 1_000_000)
        url = URL(self.options.url.rstrip("/") + path, encoded=True)
        began_s = monotonic_s()
        try:
            async with session.get(url, allow_redirects=False) as reply:
                if reply.status != 200:
                    raise PollError(
                        f"{url.host} answered {reply.status}",
                        f"status_{reply.status}",
                        _seconds(reply.headers.get("Retry-After", "")),
                    )
                body = bytearray()
                async for piece in reply.content.iter_chunked(1 << 16):
                    body += piece
                    if len(body) > ANSWER_BYTES:
                        raise PollError(f"the answer is longer than {ANSWER_BYTES} bytes", "too_long")
        except TimeoutError:
            raise PollError(f"no answer within {self.options.timeout_s:g} s", "timeout") from None
        except aiohttp.ClientPayloadError as error:
            raise PollError(f"the answer is cut: {error}", "cut") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PollError(f"{type(error).__name__}: {error}"[:300], "connection") from error
        return _Answer(bytes(body), monotonic_s() - began_s)

    # --- health ---

    def health(self) -> dict[str, Any]:
        """Add whether the site answers, for how much, how fast, and which symbols it refuses and why."""
        now_s = monotonic_s()
        report: dict[str, Any] = super().health() | {
            "rows": self._counts["rows"],
            "connected": not self._failing and (self._success_s is not None or not self._asked),
            "url": self.options.url,
            "wanted": len(self._asked),
            "polls": self._counts["polls"],
            "failures": self._counts["failures"],
            "unchanged": self._counts["unchanged"],
            "latency_ms": round(self._latency_s * 1000, 3),
            "last_success_s": None if self._success_s is None else round(now_s - self._success_s, 3),
            "refused_count": len(self._refused),
            "refused": dict(list(self._refused.items())[:SHOWN_COUNT]),
            "phases": dict(Counter(phase for phase in self._phases.values() if phase)),
            "unserved_count": len(self._unserved),
            "unserved": self._unserved[:SHOWN_COUNT],
        }
        if self._event_ns:
            report["last_tick"] = _iso(self._event_ns)
        if not self._asked:
            report["note"] = (
                f"nothing is asked for: name instruments (source.{self.site.name}.instruments) or subscribe"
            )
        if self._failing:
            report["failing_count"] = self._failing
            report["poll_error"] = self._last_error
            report["retry_in_s"] = round(max(0.0, self._retry_at_s - now_s), 3)
        return report


def _batches(spellings: list[str], count: int) -> Iterator[list[str]]:
    for at in range(0, len(spellings), count):
        yield spellings[at : at + count]


def _iso(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0
