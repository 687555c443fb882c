# cython: language_level=3, boundscheck=False, wraparound=False
"""The DIFF trade socket's spelling of orders, trades, positions and accounts, natively: bytes in, bytes out."""

from typing import NamedTuple

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.account cimport kNoValue, to_cny
from qautlra._core.exchange cimport CExchange, Event, Exchange, Insert, Outcome, OrderRecord, kNone, kTrade
from qautlra._core.journal cimport Journal


cdef extern from "<span>" namespace "std" nogil:
    cdef cppclass Numbers "std::span<const std::uint32_t>":
        Numbers()
        Numbers(const uint32_t*, size_t)

cdef extern from "base/buffer.hpp" namespace "qautlra" nogil:
    cdef cppclass Buffer:
        Buffer()
        const char* data()
        size_t size()
        void clear()

cdef extern from "exchange/words.hpp" namespace "qautlra::exchange" nogil:
    cdef cppclass CodeWords:
        uint16_t code, diff, ctp
        const char* name
        const char* text
    cdef cppclass Words "std::span<const qautlra::exchange::CodeWords>":
        size_t size()
        const CodeWords& operator[](size_t)
    Words all_words()
    string_view message_of(const OrderRecord&)
    const string_view kLotsFrozen

cdef extern from "exchange/diff_out.hpp" namespace "qautlra::exchange" nogil:
    void c_encode_order "qautlra::exchange::encode_order"(const CExchange&, uint32_t, Buffer&) except +
    void c_encode_trade "qautlra::exchange::encode_trade"(const CExchange&, uint32_t, Buffer&) except +
    void c_encode_account "qautlra::exchange::encode_account"(const CExchange&, uint32_t, Buffer&, cbool) except +
    cbool c_encode_position "qautlra::exchange::encode_position"(const CExchange&, uint32_t, uint32_t, Buffer&) except +
    void c_encode_positions "qautlra::exchange::encode_positions"(const CExchange&, uint32_t, Buffer&) except +
    void c_encode_orders "qautlra::exchange::encode_orders"(const CExchange&, Numbers, Buffer&) except +
    void c_encode_trades "qautlra::exchange::encode_trades"(const CExchange&, Numbers, Buffer&) except +
    void c_encode_part "qautlra::exchange::encode_part"(const CExchange&, uint32_t, Numbers, Numbers, Numbers,
                                                        Buffer&) except +
    void c_encode_change "qautlra::exchange::encode_change"(const CExchange&, uint32_t, Numbers, Numbers, Numbers,
                                                            Buffer&) except +

cdef extern from "exchange/diff_in.hpp" namespace "qautlra::exchange" nogil:
    cdef enum Kind "qautlra::exchange::DiffCommand::Kind":
        pass
    cdef cppclass DiffCommand:
        Kind kind
        string_view user_id, order_id, exchange_id, instrument_id, field
        Insert order
        uint16_t code
    cdef cppclass DiffReader:
        DiffReader()
        const DiffCommand& read(string_view)

cdef extern from "exchange/diff_path.hpp" namespace "qautlra::exchange" nogil:
    cdef cppclass PathAnswer "qautlra::exchange::DiffPath::Answer":
        Outcome outcome
        Kind kind
        string_view field, report
    cdef cppclass DiffPath:
        DiffPath(CExchange&, cbool) except +
        PathAnswer handle(uint32_t, string_view, int64_t) except +

cdef extern from "exchange/diff_lane.hpp" namespace "qautlra::exchange" nogil:
    cdef enum LaneKind "qautlra::exchange::DiffLane::Kind":
        kLaneInsert "qautlra::exchange::DiffLane::Kind::kInsert"
    cdef cppclass DiffLane:
        DiffLane(CExchange&, uint32_t, string_view, string_view) except +
        LaneKind read(string_view) except +
        const DiffCommand& command()
        uint32_t instrument()
        Outcome enter(int64_t) except +
        cbool is_simple()
        cbool is_alive()
        string_view tell(uint64_t&) except +


cdef dict _codes():
    cdef Words words = all_words()
    return {words[i].code: (words[i].name.decode(), words[i].diff, words[i].ctp, words[i].text.decode())
            for i in range(words.size())}


CODES = _codes()
"Every code of the exchange: (name, notify code of the DIFF socket or 0, CTP error, text)."


class Command(NamedTuple):
    kind: str
    user_id: str
    order_id: str
    exchange_id: str
    instrument_id: str
    side: int
    offset: int
    volume: int
    price: float | None
    price_type: int
    time: int
    condition: int
    min_volume: int
    gtd_day: int
    code: int
    field: str


class Answer(NamedTuple):
    kind: str
    code: int
    number: int | None
    lsn: int
    field: str
    report: bytes


class Entered(NamedTuple):
    code: int
    number: int | None
    lsn: int
    alive: bool
    packet: bytes
    serial: int


_KINDS = ("none", "insert", "cancel", "other")
_SIDES = ("BUY", "SELL")
_OFFSETS = ("OPEN", "CLOSE", "CLOSETODAY")


cdef str _str(string_view text):
    return text.data()[:text.size()].decode("utf-8") if text.size() else ""


cdef bytes _bytes(const Buffer& out):
    return PyBytes_FromStringAndSize(out.data(), out.size())


cdef uint32_t _order(Exchange x, uint32_t number) except? 0xFFFFFFFF:
    if number >= x.ptr.orders().size():
        raise ValueError(f"there is no order {number} today")
    return number


cdef uint32_t _trade(Exchange x, uint32_t number) except? 0xFFFFFFFF:
    if number >= x.ptr.trades().size():
        raise ValueError(f"there is no trade {number} today")
    return number


cdef uint32_t _account(Exchange x, uint32_t number) except? 0xFFFFFFFF:
    x.ledger.entry(number)
    return number


cdef uint32_t _instrument(Exchange x, uint32_t number) except? 0xFFFFFFFF:
    if number >= x.ptr.instruments():
        raise ValueError(f"there is no instrument {number}")
    return number


def decode(const unsigned char[::1] message not None):
    """An `insert_order` or `cancel_order` out of its JSON; what is wrong with it stands in `code` and `field`."""
    cdef DiffReader reader
    cdef size_t size = message.shape[0]
    cdef const DiffCommand* c = &reader.read(string_view(<const char*>&message[0] if size else NULL, size))
    cdef const Insert* o = &c.order
    return Command(_KINDS[<int>c.kind], _str(c.user_id), _str(c.order_id), _str(c.exchange_id),
                   _str(c.instrument_id), <int>o.side, <int>o.offset, o.volume,
                   None if o.price == kNoValue else to_cny(o.price), <int>o.price_type, <int>o.time,
                   <int>o.volume_condition, o.min_volume, o.gtd_day, c.code, _str(c.field))


def encode_order(Exchange x not None, uint32_t number):
    """The order as the DIFF tree has it."""
    cdef Buffer out
    c_encode_order(x.ptr[0], _order(x, number), out)
    return _bytes(out)


def encode_trade(Exchange x not None, uint32_t number):
    """One side of a match as the DIFF tree has it."""
    cdef Buffer out
    c_encode_trade(x.ptr[0], _trade(x, number), out)
    return _bytes(out)


def encode_account(Exchange x not None, uint32_t account, *, bint with_quota=False):
    """An account's funds as the DIFF tree has them; `with_quota`: and what can be withdrawn, as QIFI has it."""
    cdef Buffer out
    c_encode_account(x.ptr[0], _account(x, account), out, with_quota)
    return _bytes(out)


def encode_position(Exchange x not None, uint32_t account, uint32_t instrument):
    """A position as the DIFF tree has it; None when the account never had one since the day began."""
    cdef Buffer out
    if not c_encode_position(x.ptr[0], _account(x, account), _instrument(x, instrument), out):
        return None
    return _bytes(out)


cdef class _Named:
    """What an account's part of the tree is to be of: numbers there are."""

    cdef vector[uint32_t] instruments, orders, trades

    def __cinit__(self, Exchange x not None, instruments, orders, trades):
        for number in instruments:
            self.instruments.push_back(_instrument(x, number))
        for number in orders:
            self.orders.push_back(_order(x, number))
        for number in trades:
            self.trades.push_back(_trade(x, number))


def encode_positions(Exchange x not None, uint32_t account):
    """`"symbol":{…},…` of all positions of an account: what stands between the braces of the tree's positions."""
    cdef Buffer out
    c_encode_positions(x.ptr[0], _account(x, account), out)
    return _bytes(out)


def encode_orders(Exchange x not None, numbers):
    """`"id":{…},…` of orders named by number: what stands between the braces of the tree's orders."""
    cdef Buffer out
    cdef _Named of = _Named(x, (), numbers, ())
    c_encode_orders(x.ptr[0], Numbers(of.orders.data(), of.orders.size()), out)
    return _bytes(out)


def encode_trades(Exchange x not None, numbers):
    """The same of trades."""
    cdef Buffer out
    cdef _Named of = _Named(x, (), (), numbers)
    c_encode_trades(x.ptr[0], Numbers(of.trades.data(), of.trades.size()), out)
    return _bytes(out)


def encode_part(Exchange x not None, uint32_t account, *, instruments=(), orders=(), trades=()):
    """`{"accounts":…,"positions":…,"orders":…,"trades":…}` of what is named by its number; positions never held
    are left out."""
    cdef Buffer out
    cdef _Named of = _Named(x, instruments, orders, trades)
    c_encode_part(x.ptr[0], _account(x, account), Numbers(of.instruments.data(), of.instruments.size()),
                  Numbers(of.orders.data(), of.orders.size()), Numbers(of.trades.data(), of.trades.size()), out)
    return _bytes(out)


def encode_change(Exchange x not None, uint32_t account, instruments, orders, trades):
    """`"accounts":…,"positions":…,"orders":…,"trades":…` of what is named by its number, with what can be
    withdrawn; of what there is nothing, nothing."""
    cdef Buffer out
    cdef _Named of = _Named(x, instruments, orders, trades)
    c_encode_change(x.ptr[0], _account(x, account), Numbers(of.instruments.data(), of.instruments.size()),
                    Numbers(of.orders.data(), of.orders.size()), Numbers(of.trades.data(), of.trades.size()), out)
    return _bytes(out)


def changes(Exchange x not None):
    """What happened since the exchange's events were last read, by account: its orders in order of their last
    change, its trades, both as they happened (-1 - number of a trade), its instruments."""
    cdef const Event* e
    cdef dict found = {}, numbers
    cdef list trades, both
    cdef size_t i
    for i in range(x.ptr.events().size()):
        e = &x.ptr.events()[i]
        account = e.account
        known = found.get(account)
        if known is None:
            known = found[account] = {}, [], [], set()
        numbers, trades, both, instruments = <tuple>known
        number = e.order
        numbers.pop(number, None)
        numbers[number] = None
        (<set>instruments).add(e.instrument)
        if e.kind == kTrade:
            trades.append(e.record)
            both.append(-1 - <int64_t>e.record)
        else:
            both.append(number)
    x.ptr.clear_events()
    return found


def lives(Exchange x not None, uint32_t account):
    """Whether each of the account's orders of the day lives, by number."""
    cdef vector[uint32_t] own = x.ptr.orders_of(_account(x, account))
    return {n: <int>x.ptr.orders().at(n).status == 0 for n in own}


def brief(Exchange x not None, uint32_t number):
    """(order_id, whether it lives, lots left, code) of an order."""
    cdef const OrderRecord* r = &x.ptr.orders().at(_order(x, number))
    return _str(x.ptr.orders().client_id(number)), <int>r.status == 0, r.left, r.code


def message(Exchange x not None, uint32_t number):
    """The order's state in words: its `last_msg`."""
    cdef const OrderRecord* r = &x.ptr.orders().at(_order(x, number))
    frozen = f"{_str(kLotsFrozen)}{r.lots_frozen()}" if r.lots_frozen() else ""
    return _str(message_of(r[0])) + frozen


cdef class Path:
    """Order bytes to report bytes in one call. The report may go out once `lsn` is durable; the exchange's events
    are the owner's to read. It is a merge patch of what changed, for a client that was told of everything before it;
    with `whole` it carries whole objects."""

    cdef DiffPath* ptr
    cdef readonly Exchange exchange

    def __cinit__(self, Exchange exchange not None, *, bint whole=False):
        self.exchange = exchange
        self.ptr = new DiffPath(exchange.ptr[0], whole)

    def __dealloc__(self):
        del self.ptr

    def handle(self, uint32_t account, const unsigned char[::1] message not None, int64_t now_ns):
        """Take a message of the account's owner; one that is no order and no cancel is `other`, and nothing done."""
        cdef size_t size = message.shape[0]
        cdef PathAnswer a = self.ptr.handle(account, string_view(<const char*>&message[0] if size else NULL, size),
                                            now_ns)
        if self.exchange.auto_commit and a.outcome.lsn and self.exchange.journal is not None:
            self.exchange.commit()
        return Answer(_KINDS[<int>a.kind], a.outcome.code, None if a.outcome.order == kNone else a.outcome.order,
                      a.outcome.lsn, _str(a.field), PyBytes_FromStringAndSize(a.report.data(), a.report.size()))


cdef class Lane:
    """One user's orders as most come, from the message to the packet that tells of them. `notices` is what keys of
    notices begin with; `read` says whether a message is for the lane, then `enter` does it."""

    cdef DiffLane* ptr
    cdef readonly Exchange exchange
    cdef bytes message
    cdef int kind
    cdef bint entered

    def __cinit__(self, Exchange exchange not None, uint32_t account, str user_id not None, str notices not None):
        cdef bytes user = user_id.encode(), begin = notices.encode()
        self.exchange = exchange
        self.ptr = new DiffLane(exchange.ptr[0], _account(exchange, account),
                                string_view(<const char*>user, <size_t>len(user)),
                                string_view(<const char*>begin, <size_t>len(begin)))

    def __dealloc__(self):
        del self.ptr

    def read(self, bytes message not None):
        """0: not for the lane; 1: an order; 2: a cancel. Nothing is done yet."""
        self.message = message
        self.entered = False
        self.kind = <int>self.ptr.read(string_view(<const char*>message, <size_t>len(message)))
        return self.kind

    @property
    def is_insert(self):
        """Whether an order was read."""
        return self.kind == <int>kLaneInsert

    @property
    def instrument(self):
        """Number of the instrument of the order that was read."""
        return self.ptr.instrument()

    def order(self):
        """(order_id, symbol, direction, offset, volume, price) of the order that was read, in the protocol's words."""
        if self.kind != <int>kLaneInsert:
            raise ValueError("no order was read")
        cdef const DiffCommand* c = &self.ptr.command()
        cdef const string* symbol = &self.exchange.ptr.symbol(self.ptr.instrument())
        return (_str(c.order_id), symbol.data()[:symbol.size()].decode("utf-8"), _SIDES[<int>c.order.side],
                _OFFSETS[<int>c.order.offset], <double>c.order.volume, to_cny(c.order.price))

    @property
    def order_id(self):
        """What the order that was read, or is to be withdrawn, is called."""
        if self.kind == 0:
            raise ValueError("nothing was read that is for the lane")
        return _str(self.ptr.command().order_id)

    def enter(self, int64_t now_ns, uint64_t serial):
        """Do what was read, and have the journal write it. Without a packet what came of it is told the long way: it
        was refused, more happened than to the order itself, or the journal takes its time."""
        cdef Journal journal = self.exchange.journal
        cdef uint64_t lsn, durable
        cdef string_view packet
        if self.kind == 0 or self.entered:
            raise ValueError("nothing was read that is for the lane")
        self.entered = True
        cdef Outcome out = self.ptr.enter(now_ns)
        lsn = out.lsn
        if journal is not None:
            journal.get().flush()
            lsn = lsn or journal.get().head_lsn()
            durable = journal.get().durable_lsn()
        else:
            durable = lsn
        number = None if out.order == kNone else out.order
        if not self.ptr.is_simple() or durable < lsn:
            return Entered(out.code, number, lsn, False, b"", serial)
        packet = self.ptr.tell(serial)
        return Entered(0, number, lsn, <bint>self.ptr.is_alive(),
                       PyBytes_FromStringAndSize(packet.data(), packet.size()), serial)
