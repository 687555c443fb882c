"""What sessions share with those around them: flow, styles, the hub and context they are given."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from qautlra._core.feed import Outlet
    from qautlra.config.tree import Feed
    from qautlra.feed.catalogue import Catalogue
    from qautlra.feed.directory import Directory
    from qautlra.feed.lines import Lines


class Flow(Enum):
    """Who decides when data is sent: not settled yet (pushed after one interval), the server, the client."""

    UNDECIDED = "undecided"
    PUSH = "push"
    PULL = "pull"


class Style(IntEnum):
    """The core's encodings; the same numbers as in `_core.feed`."""

    DIFF = 0
    LEGACY_RTN = 1
    LEGACY_MARKET_DATA = 2
    CORE = 3


class Hub(Protocol):
    """What a session needs of the core's hub; one client handle each."""

    def set_style(
        self,
        client: int,
        style: int,
        *,
        market_data: bool = False,
        full_only: bool = False,
        stamp: bool = False,
    ) -> None: ...
    def subscribe(self, client: int, entries: list[tuple[int, str]]) -> None: ...
    def pending(self, client: int) -> int: ...
    def frame(self, client: int, tail: bytes = b"") -> bytes: ...


class Context(Protocol):
    """What all sessions share."""

    @property
    def hub(self) -> Hub: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def settings(self) -> Feed: ...
    @property
    def lines(self) -> Lines | None: ...
    @property
    def catalogue(self) -> Catalogue | None: ...
    def text_frame(self, payload: bytes) -> bytes: ...
    def connected(self) -> bool: ...
    def stir(self, client: int) -> None: ...
    def wake(self, client: int) -> None: ...


class FeedHub(Hub, Protocol):
    """The core's hub, whole."""

    def open(self, flags: int = 0) -> int: ...
    def close(self, client: int) -> None: ...
    def drain(self) -> int: ...
    def connect(self, client: int, outlet: Outlet | None) -> None: ...
    def send(
        self, clients: list[int], min_pending: int = 1, answered: list[int] | None = None
    ) -> list[tuple[int, bytes]]: ...
    @property
    def unfinished(self) -> bool: ...
    @property
    def sent_bytes(self) -> int: ...
