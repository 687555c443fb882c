# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""Quote trees of a DIFF server -> rows: patches are merged straight into snapshots, no dict is kept."""

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_Check
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from cython.operator cimport dereference as deref
from libc.math cimport fabs, floor
from libc.stdint cimport int64_t, uint32_t, uint8_t
from libcpp cimport bool as cbool
from libcpp.string_view cimport string_view
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

from qautlra._core.market cimport (
    Calendar, Instruments, Rows, Snapshot, Source, changed, is_count, kNoCount, kNoPrice,
)
from qautlra._core.market import FIELD_INDEX, FIELDS, SOURCES


cdef extern from "base/time_text.hpp" namespace "qautlra" nogil:
    cbool parse_instant(string_view, int64_t&)


cdef enum:
    DATETIME = 0
    LAST_PRICE = 1
    UPPER_LIMIT = 6
    LOWER_LIMIT = 7
    VOLUME = 16
    FIRST_LEVEL = 17  # prices of 10 bids, 10 asks, then volumes in the same order
    LEVEL_PRICES = 20
    NOBODY = -1

cdef double ABSURD = 1e15  # what CTP writes for "none", whole or chained through a float, lies above
cdef int64_t EARLIEST_NS = 631_152_000_000_000_000  # 1990
cdef int64_t LATEST_NS = 4_102_444_800_000_000_000  # 2100
cdef int NAMES_PER_INSTRUMENT = 8

# "high" and "low" are one gateway's own words.
cdef dict SLOTS = dict(FIELD_INDEX) | {"high": FIELD_INDEX["highest"], "low": FIELD_INDEX["lowest"]}
assert FIELDS[UPPER_LIMIT] == "upper_limit" and FIELDS[LOWER_LIMIT] == "lower_limit"
assert FIELDS[FIRST_LEVEL] == "bid_price1" and FIELDS[FIRST_LEVEL + LEVEL_PRICES] == "bid_volume1"
assert FIELDS[LAST_PRICE] == "last_price" and FIELDS[VOLUME] == "volume"


cdef inline double price_of(object value):
    """The value as a price; NaN for null, "-", any other text and numbers that mean none."""
    cdef double x
    cdef int overflow = 0
    if PyFloat_Check(value):
        x = PyFloat_AS_DOUBLE(value)
    elif PyLong_Check(value) and not isinstance(value, bool):
        x = <double>PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            return kNoPrice
    else:
        return kNoPrice
    return x if fabs(x) < ABSURD else kNoPrice


cdef inline int64_t count_of(object value):
    """The value as a count; the no-value for anything that is not a whole number from 0 up."""
    cdef double x = price_of(value)
    return <int64_t>x if x >= 0 and x == floor(x) else kNoCount


cdef inline int64_t stamp_of(object value):
    """Unix ns of a stamp: text (Beijing unless it names an offset) or a number whose size tells its unit."""
    cdef int64_t ts = 0
    cdef int64_t unit
    cdef int overflow = 0
    cdef Py_ssize_t size = 0
    cdef const char* data
    if isinstance(value, str):
        if not (<str>value).isascii():
            return kNoCount
        data = PyUnicode_AsUTF8AndSize(value, &size)
        if not parse_instant(string_view(data, <size_t>size), ts):
            return kNoCount
    elif PyLong_Check(value) and not isinstance(value, bool):
        ts = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or ts <= 0:
            return kNoCount
        unit = (1_000_000_000 if ts < 100_000_000_000 else 1_000_000 if ts < 100_000_000_000_000
                else 1_000 if ts < 100_000_000_000_000_000 else 1)
        if ts > LATEST_NS // unit:
            return kNoCount
        ts *= unit
    else:
        return kNoCount
    return ts if EARLIEST_NS <= ts < LATEST_NS else kNoCount


cdef cppclass Line:
    # What was given out of one instrument: the newest row, and the one given last when it was older.
    Snapshot newest
    Snapshot before


cdef class QuoteMerger:
    """Merges `quotes` patches (RFC 7386) and gives out full rows. One per server.

    Null, "-" and an absent key mean no value. Ids may be in any spelling; symbols that are not wanted and
    those past `max_instruments` are left out and counted. A row equal to the last one of its instrument is
    not given again; one that differs under the same stamp gets the next ordinal.
    """

    cdef readonly Instruments instruments
    cdef Calendar calendar
    cdef Source source
    cdef Py_ssize_t max_instruments
    cdef object wanted              # frozenset of symbols, None: all
    cdef dict places                # the server's spelling -> place, NOBODY for one left out
    cdef list symbols               # of each place, None when free
    cdef list free
    cdef vector[Snapshot] trees
    cdef vector[int64_t] numbers    # in the instrument table, NOBODY until the first row
    cdef vector[uint8_t] dirty
    cdef vector[uint32_t] touched   # dirty places in order
    cdef unordered_map[uint32_t, Line] lines
    cdef readonly int64_t refused   # quotes of names that are no instruments, values that are no quotes
    cdef readonly int64_t unwanted  # quotes of instruments that were not asked for, or are too many
    cdef readonly int64_t undated   # changes of a quote that had no readable stamp: no row
    cdef readonly int64_t late      # rows under a stamp older than the instrument's newest
    cdef readonly str first_refusal

    def __init__(self, Instruments instruments not None, *, str source="upstream", Py_ssize_t max_instruments=5000):
        self.instruments = instruments
        self.calendar = instruments.calendar
        self.source = <Source><uint8_t>SOURCES.index(source)
        if max_instruments < 1:
            raise ValueError("max_instruments: at least one")
        self.max_instruments = max_instruments
        self.wanted = None
        self.places = {}
        self.symbols = []
        self.free = []
        self.first_refusal = ""

    def __len__(self):
        return len(self.symbols) - len(self.free)

    def want(self, symbols) -> None:
        """Take only these symbols from now on (None: all); what is known of others is forgotten."""
        self.wanted = None if symbols is None else frozenset(symbols)
        cdef Py_ssize_t place
        for place in range(len(self.symbols)):
            symbol = self.symbols[place]
            if symbol is not None and self.wanted is not None and symbol not in self.wanted:
                self.symbols[place] = None
                self.free.append(place)
                self.trees[place].clear()
        self.places = {name: at for name, at in self.places.items() if at >= 0 and self.symbols[at] is not None}

    def forget(self) -> None:
        """Drop the merged trees: another connection starts with full quotes. Rows given out stay known."""
        cdef size_t place
        for place in range(self.trees.size()):
            self.trees[place].clear()

    def restore(self, Rows rows not None) -> None:
        """Know these rows as given out already: what is stored from before."""
        if rows.instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        cdef size_t i
        for i in range(rows.data.size()):
            self.know(deref(rows.data)[i])

    cdef void know(self, const Snapshot& row) noexcept:
        cdef bint first = self.lines.count(row.instrument) == 0
        cdef Line* line = &self.lines[row.instrument]
        line.before = row
        if first or row.ts_event_ns() >= line.newest.ts_event_ns():
            line.newest = row

    def rows(self, list patches not None, int64_t recv_ns) -> Rows:
        """Merge the `quotes` patches of one message in order; return the rows they make, one per stamp."""
        cdef Rows out = Rows.make(self.instruments)
        cdef size_t i
        for patch in patches:
            if isinstance(patch, dict):
                for name, quote in (<dict>patch).items():
                    self.take(name, quote, recv_ns, out)
            elif patch is None:
                self.forget()
            else:
                self.refuse("quotes that are not an object")
        for i in range(self.touched.size()):
            self.give(self.touched[i], recv_ns, out)
        self.touched.clear()
        return out

    cdef int take(self, object name, object quote, int64_t recv_ns, Rows out) except -1:
        cdef Py_ssize_t place = self.place(name, quote)
        if place < 0:
            return 0
        cdef Snapshot* tree = &self.trees[place]
        if not isinstance(quote, dict):  # null, or a scalar that takes the object's place
            tree.clear()
            if quote is not None:
                self.refuse("a quote that is not an object")
            return 0
        cdef int64_t ts
        if self.dirty[place] and tree.has(DATETIME) and "datetime" in <dict>quote:
            ts = stamp_of((<dict>quote)["datetime"])
            if ts != tree.ts_event_ns():  # a tick of its own, which this message did not merge
                self.give(place, recv_ns, out)
                self.dirty[place] = 1
        cdef int slot
        for key, value in (<dict>quote).items():
            found = SLOTS.get(key)
            if found is None:
                continue
            slot = found
            if slot == DATETIME:
                tree.set_count(slot, stamp_of(value))
            elif is_count(slot):
                tree.set_count(slot, count_of(value))
            else:
                tree.set_price(slot, price_of(value))
            if not self.dirty[place]:
                self.dirty[place] = 1
                self.touched.push_back(<uint32_t>place)
        return 0

    cdef Py_ssize_t place(self, object name, object quote) except -2:
        """Where the tree of a spelling is, NOBODY when it is left out."""
        at = self.places.get(name)
        if at is not None:
            if at < 0:
                self.unwanted += 1
            return at
        symbol = self.instruments.canonical(name) if isinstance(name, str) else None
        cdef Py_ssize_t place = NOBODY
        if symbol is None:
            self.refuse(f"{str(name)[:64]!r} names no instrument")
            return NOBODY
        if not quote:  # an empty quote is how a server says that it knows nothing
            return NOBODY
        # A server that makes names up without end fills no memory: past the bound they are looked at anew.
        cdef bint kept = len(self.places) < NAMES_PER_INSTRUMENT * self.max_instruments
        if self.wanted is not None and symbol not in self.wanted or not kept:
            self.unwanted += 1
        elif self.free:
            place = self.free.pop()
            self.symbols[place] = symbol
            self.numbers[place] = NOBODY
        elif len(self.symbols) < self.max_instruments:
            place = len(self.symbols)
            self.symbols.append(symbol)
            self.trees.push_back(Snapshot())
            self.numbers.push_back(NOBODY)
            self.dirty.push_back(0)
        else:
            self.unwanted += 1
        if kept:
            self.places[name] = place
        return place

    cdef int give(self, Py_ssize_t place, int64_t recv_ns, Rows out) except -1:
        """Put the tree's row into `out` when it says something new."""
        self.dirty[place] = 0
        cdef Snapshot row = self.trees[place]
        if not row.has(DATETIME):
            self.undated += 1
            return 0
        if self.numbers[place] < 0:
            try:
                self.numbers[place] = self.instruments.intern(self.symbols[place])
            except ValueError as error:  # the table is full
                self.refuse(str(error))
                return 0
        row.instrument = <uint32_t>self.numbers[place]
        cdef int f
        for f in range(FIRST_LEVEL, FIRST_LEVEL + LEVEL_PRICES):
            if not row.has(f):  # a side without a price has no volume; servers write 0
                row.set_count(f + LEVEL_PRICES, kNoCount)
        if row.price(UPPER_LIMIT) == 0 and row.price(LOWER_LIMIT) == 0:
            row.set_price(UPPER_LIMIT, kNoPrice)
            row.set_price(LOWER_LIMIT, kNoPrice)
        if not self.number(row):
            return 0
        row.trading_day = self.calendar.ptr.trading_day(row.ts_event_ns())
        row.ts_recv_ns = recv_ns
        row.source = self.source
        self.know(row)
        out.data.push_back(row)
        return 1

    cdef bint number(self, Snapshot& row) noexcept:
        """Give the row its ordinal; False when it was given out already."""
        if self.lines.count(row.instrument) == 0:
            return True
        cdef Line* line = &self.lines[row.instrument]
        cdef int64_t ts = row.ts_event_ns()
        cdef const Snapshot* same = &line.newest
        if ts < line.newest.ts_event_ns():
            self.late += 1
            same = &line.before
        if ts == same.ts_event_ns():
            if changed(deref(same), row) == 0:
                return False
            row.ordinal = same.ordinal + 1
        return True

    cdef int refuse(self, str why) except -1:
        self.refused += 1
        if not self.first_refusal:
            self.first_refusal = why
        return 0


def heads(Rows rows not None, Py_ssize_t start=0, Py_ssize_t stop=-1) -> list:
    """(instrument, event time ns, last price or NaN, volume or -1) of rows [start, stop)."""
    cdef Py_ssize_t size = <Py_ssize_t>rows.data.size()
    cdef Py_ssize_t i
    cdef const Snapshot* row
    cdef list out = []
    if stop < 0 or stop > size:
        stop = size
    for i in range(max(start, 0), stop):
        row = &deref(rows.data)[<size_t>i]
        out.append((row.instrument, row.ts_event_ns(), row.price(LAST_PRICE),
                    row.count(VOLUME) if row.has(VOLUME) else -1))
    return out
