from typing import Any

BUY: int
SELL: int
LIMIT: int
ANY_PRICE: int
BEST: int
FIVE_LEVEL: int
IOC: int
GFS: int
GFD: int
GTD: int
GTC: int
GFA: int
ANY_VOLUME: int
MIN_VOLUME: int
ALL_VOLUME: int
CLOSED: int
AUCTION: int
AUCTION_LOCKED: int
AUCTION_MATCHED: int
CONTINUOUS: int
BREAK: int
REJECT_TAKER: int
CANCEL_MAKER: int
CANCEL_BOTH: int
ALLOW: int
AT_MAKER: int
AT_MEDIAN: int
FUTURE: int
OPTION: int
STOCK: int
EVERY_KIND: int
ACCEPTED: int
FILL: int
CANCELLED: int
AMENDED: int
CODES: dict[int, str]
REASONS: dict[int, str]

def kinds_of(exchange: str, product: int) -> int: ...
def rules_for(exchange: str, instrument_id: str, product: int) -> dict[str, int]: ...
def to_ticks(price: float, tick: float) -> int: ...
def band_inside(reference: float, ratio: float, tick: float) -> tuple[int, int]: ...
def band_rounded(reference: float, ratio: float, tick: float) -> tuple[int, int]: ...
def serial(id: int) -> int: ...

class OrderNumbers:
    def __init__(self, count: int) -> None: ...
    def __len__(self) -> int: ...

class Books:
    events_max: int
    def __init__(
        self,
        *,
        live_orders_max: int = ...,
        accounts_max: int = ...,
        levels_per_book_max: int = ...,
        levels_max: int = ...,
        events_max: int = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
    def add(
        self,
        lower: int,
        upper: int,
        *,
        kinds: int = ...,
        buy_min: int = 1,
        buy_step: int = 1,
        sell_min: int = 1,
        sell_step: int = 1,
        volume_max: int = ...,
        self_trade: int = ...,
        trade_price: int = ...,
        best_rests: bool = False,
    ) -> int: ...
    def insert(
        self,
        book: int,
        account: int,
        side: int,
        price: int,
        volume: int,
        price_type: int = ...,
        time: int = ...,
        condition: int = ...,
        min_volume: int = 0,
        opens: bool = True,
        held: int = 0,
        gtd_day: int = 0,
    ) -> int: ...
    def cancel(self, id: int) -> int: ...
    def remove(self, id: int, reason: int = 10) -> int: ...
    def remove_account(self, account: int, reason: int = 10) -> int: ...
    def amend(self, id: int, price: int, left: int) -> int: ...
    def set_phase(self, book: int, phase: int) -> int: ...
    def end_day(self, book: int, trading_day: int) -> int: ...
    def set_band(self, book: int, lower: int, upper: int) -> int: ...
    def set_reference(self, book: int, price: int) -> int: ...
    def depth(self, book: int, levels: int = 5) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]: ...
    def orders(self, book: int, side: int) -> list[tuple[int, int, int, int]]: ...
    def order(self, id: int) -> tuple[int, int, int, int, int] | None: ...
    def indication(self, book: int) -> tuple[int, int, int] | None: ...
    def phase(self, book: int) -> int: ...
    def band(self, book: int) -> tuple[int, int]: ...
    def last(self, book: int) -> int | None: ...
    def volume(self, book: int) -> int: ...
    def events(self) -> list[tuple[Any, ...]]: ...
    def clear_events(self) -> int: ...
    def play(
        self, stream: bytes | bytearray | memoryview, numbers: OrderNumbers, accounts: int = 1
    ) -> tuple[int, int, int, int, int]: ...
    def state_hash(self) -> int: ...
    @property
    def live_orders(self) -> int: ...
    @property
    def trades(self) -> int: ...
