"""What the front door is given: services behind protocols, and its settings. `app/compose` fills it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from qautlra.auth.rights import Principal
from qautlra.base.errors import AuthError, UnavailableError
from qautlra.model.query import CountsRequest, QueryRequest, SqlRequest
from qautlra.model.streams import Derived, IngestKey, StreamOptions

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.base.clock import Clock
    from qautlra.config.tree import Net
    from qautlra.feed.service import FeedService
    from qautlra.trade.desk import Desk
    from qautlra.trade.service import TradeService


class Process(Protocol):
    """The process as operations see it."""

    def health(self) -> dict[str, Any]:
        """Return `{"status": ..., "services": [{"name", "state", ...}]}`."""

    def sources(self) -> list[dict[str, Any]]:
        """Return one `{"name", "connected", "logged_in", "trading_day", "last_tick", ...}` per source."""

    @property
    def ready(self) -> bool:
        """Whether every service runs."""

    def uptime_s(self) -> float:
        """Return seconds since the start."""


class QueryResult(Protocol):
    """An answer of the store, whole or in pieces."""

    @property
    def chunks(self) -> bytes | AsyncIterator[bytes | memoryview]: ...
    @property
    def content_type(self) -> str: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def elapsed_s(self) -> float: ...
    @property
    def clock(self) -> str: ...
    @property
    def truncated(self) -> bool: ...


class StoreQuery(Protocol):
    """The store's question answering."""

    async def run(self, request: QueryRequest | SqlRequest) -> QueryResult: ...

    def begin(self, request: QueryRequest | SqlRequest) -> QueryResult | Coroutine[Any, Any, QueryResult]: ...
    async def counts(self, request: CountsRequest) -> dict[str, Any]: ...


class StoreTail(Protocol):
    """Rows of a stream as they are stored; `dropped` counts those that waited too long."""

    dropped: int

    def take(self) -> tuple[bytes, int]:
        """Return new rows as a JSON array, and how many."""

    def close(self) -> None:
        """Stop following."""


class StoreIngest(Protocol):
    """The store's taking in of events, and its streams."""

    async def ingest(
        self,
        name: str,
        events: Any,
        extra: Mapping[str, str],
        *,
        create: bool,
        key: IngestKey | None = None,
        body_bytes: int = 0,
    ) -> int: ...
    async def create(self, name: str, options: StreamOptions) -> None: ...
    async def drop(self, name: str) -> None: ...
    async def retain(self, name: str, days: int, description: str = "") -> None: ...
    def names(self) -> list[str]: ...
    def schema(self, name: str) -> list[dict[str, Any]]: ...
    def stats(self, name: str) -> dict[str, int]: ...
    def info(self, name: str) -> dict[str, Any]: ...
    def live(self, name: str, instruments: Sequence[str] | None) -> StoreTail: ...
    async def derive(self, name: str, derived: Derived) -> None: ...
    def derived(self) -> dict[str, Derived]: ...
    async def refresh(self, name: str) -> int: ...
    def detect(self, event: Any) -> list[dict[str, Any]]: ...


class StoreImports(Protocol):
    """The store's importing of whole files."""

    async def receive(
        self, name: str, stream: str, form: str, at: int, pieces: AsyncIterator[bytes], *, more: bool = False
    ) -> Any: ...
    def all(self) -> list[Any]: ...
    def get(self, name: str) -> Any: ...
    async def forget(self, name: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Deps:
    """Everything the doors reach; a part this mode does not run is None and its doors say so."""

    settings: Net
    clock: Clock
    process: Process
    modes: Sequence[str] = ("all",)
    feed: FeedService | None = None
    store: StoreQuery | None = None
    trade: TradeService | None = None
    ingest: StoreIngest | None = None
    streams: StoreIngest | None = None
    "The streams of a process that only answers."
    imports: StoreImports | None = None
    desk: Desk | None = None
    auth: AuthService | None = None
    "Users; None in a process that has none: then whatever needs a login is refused."
    require_login: bool = False
    "Whether market reads need a login on loopback too."
    may_be_busy: frozenset[str] = frozenset()
    "Those of `settings.listen` that nobody chose: left out with a warning when another process has them."
    origins: Sequence[str] = field(default=())
    "Further origins whose pages may open sockets, besides `settings.cors`."
    entered: dict[Any, Principal] = field(default_factory=dict)
    "Sockets of those who logged in to connect, and who they were then; `NetService` closes them in time."

    def answering(self) -> StoreQuery:
        """Return what answers queries; AuthError 403 or UnavailableError when this mode has none."""
        if self.store is None:
            if "ingest" in self.modes:
                raise AuthError("Mode ingest takes data in and does not answer queries", status=403)
            raise self._no_store()
        return self.store

    def taking_in(self) -> StoreIngest:
        """Return what takes events in; AuthError 403 or UnavailableError when this mode has none."""
        if self.ingest is None:
            raise self._nothing_in()
        return self.ingest

    def importing(self) -> StoreImports:
        """Return what imports files; AuthError 403 or UnavailableError when this mode has none."""
        if self.imports is None:
            raise self._nothing_in()
        return self.imports

    def stored(self) -> StoreIngest:
        """Return the streams there are, to be looked at; UnavailableError when this mode has none."""
        found = self.ingest or self.streams
        if found is None:
            raise self._no_store()
        return found

    def _nothing_in(self) -> AuthError | UnavailableError:
        if "query" in self.modes:
            return AuthError("Mode query answers questions and takes nothing in", status=403)
        return self._no_store()

    def _no_store(self) -> UnavailableError:
        return UnavailableError(f"No store in mode {','.join(self.modes)}")
