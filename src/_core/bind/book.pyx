# cython: language_level=3, boundscheck=False, wraparound=False
"""The order book for Python: tests, benchmarks and work that is not per message. Prices are whole ticks."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.book cimport *

BUY, SELL = 0, 1
LIMIT, ANY_PRICE, BEST, FIVE_LEVEL = 0, 1, 2, 3
IOC, GFS, GFD, GTD, GTC, GFA = 1, 2, 3, 4, 5, 6
ANY_VOLUME, MIN_VOLUME, ALL_VOLUME = 1, 2, 3
CLOSED, AUCTION, AUCTION_LOCKED, AUCTION_MATCHED, CONTINUOUS, BREAK = 0, 1, 2, 3, 4, 5
REJECT_TAKER, CANCEL_MAKER, CANCEL_BOTH, ALLOW = 0, 1, 2, 3
AT_MAKER, AT_MEDIAN = 0, 1
FUTURE, OPTION, STOCK = 0, 1, 2
EVERY_KIND = (1 << 12) - 1
ACCEPTED, FILL, CANCELLED, AMENDED = 1, 2, 3, 4

CODES = {
    0: "ok",
    1003: "bad_volume",
    1005: "self_trade",
    1006: "no_account",
    1007: "no_instrument",
    1008: "bad_parameters",
    3001: "no_order",
    4001: "unsupported",
    4002: "above_limit",
    4003: "below_limit",
    4004: "not_trading",
    4005: "no_cancel_now",
    4006: "auction_only",
    4007: "not_in_auction",
    5001: "full",
}
REASONS = {
    1: "user",
    2: "rest",
    3: "all_or_none",
    4: "minimum",
    5: "self_trade",
    6: "auction_end",
    7: "section_end",
    8: "day_end",
    9: "band",
    10: "forced",
}


def kinds_of(str exchange not None, int product):
    """Bits of the order kinds an exchange takes for a product (FUTURE, OPTION, STOCK)."""
    cdef bytes name = exchange.encode()
    return cpp_kinds_of(string_view(<const char*>name, <size_t>len(name)), <Product>product)


def rules_for(str exchange not None, str instrument_id not None, int product):
    """Order kinds and lots of an instrument, by the names Books.add and Exchange.list take them by."""
    cdef bytes name = exchange.encode()
    cdef bytes code = instrument_id.encode()
    cdef Rules rules = rules_of(string_view(<const char*>name, <size_t>len(name)),
                                string_view(<const char*>code, <size_t>len(code)), <Product>product)
    return {"kinds": rules.kinds, "buy_min": rules.volume_min[0], "buy_step": rules.volume_step[0],
            "sell_min": rules.volume_min[1], "sell_step": rules.volume_step[1], "volume_max": rules.volume_max}


def to_ticks(double price, double tick):
    """Whole ticks of a price; ValueError when it is no multiple of the tick."""
    cdef int64_t out = 0
    if not cpp_to_ticks(price, tick, out):
        raise ValueError(f"{price!r} is not a multiple of {tick!r}")
    return out


def band_inside(double reference, double ratio, double tick):
    """(lower, upper) price limits of a future in ticks: inside reference x (1 +- ratio)."""
    cdef Band band = cpp_band_inside(reference, ratio, tick)
    return band.lower, band.upper


def band_rounded(double reference, double ratio, double tick):
    """(lower, upper) price limits of an A-share in ticks: reference x (1 +- ratio) rounded half up."""
    cdef Band band = cpp_band_rounded(reference, ratio, tick)
    return band.lower, band.upper


def serial(uint64_t id):
    """Running number of an order handle: dense, from 1, never reused."""
    return serial_of(id)


cdef class OrderNumbers:
    """Handles of the orders of a stream, by the number it gives them: 0 .. count - 1."""

    cdef COrderNumbers* ptr

    def __cinit__(self, size_t count):
        if not 1 <= count <= 1 << 28:
            raise ValueError("a stream numbers 1 to 2**28 orders")
        self.ptr = new COrderNumbers(count)
        if not self.ptr.ready():
            raise MemoryError()

    def __dealloc__(self):
        del self.ptr

    def __len__(self):
        return self.ptr.count


cdef class Books:
    """The books of all instruments.

    Calls that can fail return a negative code (names in CODES) instead of raising; what happened waits in
    `events()`. Beyond `events_max` unread events new orders are refused (full).
    """

    cdef CBooks* ptr
    cdef Recorder* record
    cdef readonly size_t events_max

    def __cinit__(self, *, uint32_t live_orders_max=1 << 18, uint32_t accounts_max=1 << 16,
                  uint32_t levels_per_book_max=1 << 20, uint64_t levels_max=1 << 26, size_t events_max=1 << 16):
        cdef Bounds bounds
        bounds.live_orders_max = live_orders_max
        bounds.accounts_max = accounts_max
        bounds.levels_per_book_max = levels_per_book_max
        bounds.levels_max = levels_max
        self.events_max = events_max
        self.record = new Recorder(min(events_max, <size_t>4096))
        self.ptr = new CBooks(bounds)
        if not self.ptr.ready():
            raise ValueError("no memory for these bounds, or bounds that cannot be")

    def __dealloc__(self):
        del self.ptr
        del self.record

    def __len__(self):
        return self.ptr.size()

    cdef const CBook* book(self, uint32_t book) except NULL:
        if book >= self.ptr.size():
            raise IndexError(f"no book {book}")
        return &self.ptr.at(book)

    def add(self, int64_t lower, int64_t upper, *, uint32_t kinds=EVERY_KIND, int32_t buy_min=1,
            int32_t buy_step=1, int32_t sell_min=1, int32_t sell_step=1, int32_t volume_max=1 << 30,
            int self_trade=REJECT_TAKER, int trade_price=AT_MAKER, bint best_rests=False):
        """Add a closed book with price limits [lower, upper]; return its number or a negative code."""
        cdef Rules rules
        cdef Band band
        cdef uint32_t index = 0
        rules.kinds = kinds
        rules.volume_min[0], rules.volume_step[0] = buy_min, buy_step
        rules.volume_min[1], rules.volume_step[1] = sell_min, sell_step
        rules.volume_max = volume_max
        rules.self_trade = <SelfTrade>self_trade
        rules.trade_price = <TradePrice>trade_price
        rules.best_rests = best_rests
        band.lower, band.upper = lower, upper
        cdef Code code = self.ptr.add(rules, band, index)
        return <int>index if code == kOk else -<int>code

    def insert(self, uint32_t book, uint32_t account, int side, int64_t price, int32_t volume,
               int price_type=0, int time=3, int condition=1, int32_t min_volume=0, bint opens=True,
               int32_t held=0, int32_t gtd_day=0):
        """Enter an order; return its handle or a negative code."""
        if self.record.size() >= self.events_max:
            return -<int>kFull
        cdef NewOrder order
        order.price = price
        order.volume = volume
        order.min_volume = min_volume
        order.account = account
        order.gtd_day = gtd_day
        order.held = held
        order.side = <Side>side
        order.price_type = <PriceType>price_type
        order.time = <TimeCondition>time
        order.volume_condition = <VolumeCondition>condition
        order.opens = opens
        cdef Placed placed = self.ptr.insert(book, order, self.record[0])
        return placed.id if placed.code == kOk else -<int>placed.code

    def cancel(self, uint64_t id):
        """Withdraw an order for its owner; 0 or a negative code."""
        return -<int>self.ptr.cancel(id, self.record[0])

    def remove(self, uint64_t id, int reason=10):
        """Withdraw an order whatever the phase; 0 or a negative code."""
        return -<int>self.ptr.remove(id, <Reason>reason, self.record[0])

    def remove_account(self, uint32_t account, int reason=10):
        """Withdraw all orders of an account; return how many."""
        return self.ptr.remove_account(account, <Reason>reason, self.record[0])

    def amend(self, uint64_t id, int64_t price, int32_t left):
        """Set price and unfilled volume of an order; 0 or a negative code."""
        return -<int>self.ptr.amend(id, price, left, self.record[0]).code

    def set_phase(self, uint32_t book, int phase):
        """Move a book to another phase, matching the auction it leaves; 0 or a negative code."""
        if not 0 <= phase <= 5:
            raise ValueError(f"there is no phase {phase}")
        return -<int>self.ptr.set_phase(book, <Phase>phase, self.record[0])

    def end_day(self, uint32_t book, int32_t trading_day):
        """Close the book and end all orders that do not last beyond the day; 0 or a negative code."""
        return -<int>self.ptr.end_day(book, trading_day, self.record[0])

    def set_band(self, uint32_t book, int64_t lower, int64_t upper):
        """New price limits; orders outside are cancelled. 0 or a negative code."""
        cdef Band band
        band.lower, band.upper = lower, upper
        return -<int>self.ptr.set_band(book, band, self.record[0])

    def set_reference(self, uint32_t book, int64_t price):
        """Previous settlement or close; 0 or a negative code."""
        return -<int>self.ptr.set_reference(book, price)

    def depth(self, uint32_t book, size_t levels=5):
        """([(price, volume), ...] of bids, of asks), best first."""
        self.book(book)
        cdef vector[DepthLevel] out
        out.resize(min(levels, <size_t>(1 << 16)))
        cdef size_t n = self.ptr.depth(book, kBuy, out.size(), out.data())
        bids = [(out[i].price, out[i].volume) for i in range(n)]
        n = self.ptr.depth(book, kSell, out.size(), out.data())
        return bids, [(out[i].price, out[i].volume) for i in range(n)]

    def orders(self, uint32_t book, int side):
        """Resting orders as (handle, price, left, account), in the order they would trade."""
        cdef const CBook* b = self.book(book)
        cdef vector[const COrder*] found
        list_orders(self.ptr[0], book, side == SELL, found)
        return [(found[i].id, b.price_of(found[i].level), found[i].left, found[i].account)
                for i in range(found.size())]

    def order(self, uint64_t id):
        """(book, side, price, left, account) of a live order, else None."""
        cdef const COrder* o = self.ptr.order(id)
        if o is NULL:
            return None
        return o.book, <int>o.side, self.ptr.at(o.book).price_of(o.level), o.left, o.account

    def indication(self, uint32_t book):
        """(price, volume, imbalance) of the auction as it stands, None when nothing crosses."""
        self.book(book)
        cdef Indication found = self.ptr.indication(book)
        return (found.price, found.volume, found.imbalance) if found.volume else None

    def phase(self, uint32_t book):
        """Phase of a book."""
        return <int>self.book(book).phase

    def band(self, uint32_t book):
        """(lower, upper) price limits."""
        cdef const CBook* b = self.book(book)
        return b.base, b.upper()

    def last(self, uint32_t book):
        """Price of the day's last trade, None before the first."""
        cdef const CBook* b = self.book(book)
        return b.last if b.has_last else None

    def volume(self, uint32_t book):
        """Volume traded today."""
        return self.book(book).volume

    def events(self):
        """What happened since the last call, in order:

        (ACCEPTED, book, id) · (FILL, book, trade, price, volume, taker side or None, (buy id, account, left),
        (sell id, account, left)) · (CANCELLED, book, id, account, left, reason) ·
        (AMENDED, book, id, price, left, kept priority).
        """
        cdef const Event* e
        found = []
        for i in range(self.record.size()):
            e = &self.record.events()[i]
            if e.kind == kAccepted:
                found.append((ACCEPTED, e.book, e.id[0]))
            elif e.kind == kFill:
                found.append((FILL, e.book, e.trade, e.price, e.volume, <int>e.side if <int>e.side < 2 else None,
                              (e.id[0], e.account[0], e.left[0]), (e.id[1], e.account[1], e.left[1])))
            elif e.kind == kCancelled:
                found.append((CANCELLED, e.book, e.id[0], e.account[0], e.volume, <int>e.reason))
            else:
                found.append((AMENDED, e.book, e.id[0], e.price, e.volume, e.kept_priority))
        self.record.clear()
        return found

    def clear_events(self):
        """Forget the events unread; return how many there were."""
        cdef size_t n = self.record.size()
        self.record.clear()
        return n

    def play(self, const unsigned char[::1] stream not None, OrderNumbers numbers not None, uint32_t accounts=1):
        """Run packed 16-byte operations (type u1, side u1, book u2, number u4, price i4, volume i4) in one call.

        Types: 0 limit order, 1 cancel, 2 market order. `numbers` keeps the handles that cancels refer to, over
        several calls too. Returns (trades, volume, value, cancels that missed, refused); no events are kept.
        ValueError for a length that is no multiple of 16.
        """
        cdef size_t size = stream.shape[0]
        if size % 16:
            raise ValueError("a stream is made of 16-byte operations")
        cdef StreamResult result
        if size:
            with nogil:
                cpp_play(self.ptr[0], &stream[0], size // 16, accounts, numbers.ptr[0], result)
        return result.trades, result.volume, result.value, result.misses, result.refused

    def state_hash(self):
        """Hash of all that decides what later calls do."""
        return self.ptr.state_hash()

    @property
    def live_orders(self):
        """Orders resting in all books."""
        return self.ptr.live_orders()

    @property
    def trades(self):
        """Matches so far, all books together."""
        return self.ptr.trades()
