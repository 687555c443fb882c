# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The tape for Python: publish rows, look at the last ones, take the bars. One thread: the loop's."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.operator cimport dereference as deref

from qautlra._core.market import FIELD_INDEX

NO_VALUE = float("nan")


cdef extern from "base/time_text.hpp" namespace "qautlra" nogil:
    int32_t days_from_date(int32_t)


cdef int _LAST = FIELD_INDEX["last_price"]
cdef int _SETTLEMENT = FIELD_INDEX["settlement"]
cdef int _PRE_SETTLEMENT = FIELD_INDEX["pre_settlement"]
cdef int _LOWER = FIELD_INDEX["lower_limit"]
cdef int _UPPER = FIELD_INDEX["upper_limit"]


cdef double _price(const Snapshot* row, int field) noexcept:
    return row.price(field) if row.has(field) else 0.0


cdef class Tape:
    """Ring of published rows, with the last row and the minute bars of every instrument.

    `capacity` (rows, a power of two) bounds the ring; `bars` bounds the closed minutes kept per instrument.
    """

    def __cinit__(self, Instruments instruments not None, Calendar calendar not None,
                  size_t capacity=16384, size_t bars=10_000):
        if instruments.calendar is not calendar:
            raise ValueError("the instruments were built over another calendar")
        self.instruments = instruments
        self.calendar = calendar
        self.ptr = new CTape(deref(instruments.ptr), deref(calendar.ptr), capacity, bars)

    def __dealloc__(self):
        del self.ptr

    def publish(self, Rows rows not None, Py_ssize_t start=0, Py_ssize_t stop=-1):
        """Take rows [start, stop) and return the index of the first row not taken.

        Equal to `stop` (-1: all) unless a holding cursor is full. Duplicates and late rows count as taken.
        ValueError for a row without an event time or of another table; the rows before it are published.
        """
        cdef Py_ssize_t size = <Py_ssize_t>rows.data.size()
        if stop < 0 or stop > size:
            stop = size
        if start < 0 or start > stop:
            raise ValueError(f"start {start} is not within 0..{stop}")
        cdef TapeTaken taken = self.ptr.publish(rows.data.data() + start, <size_t>(stop - start))
        cdef Py_ssize_t next_row = start + <Py_ssize_t>taken.rows
        if taken.refused:
            raise ValueError(f"row {next_row} has no event time or no instrument of this tape's table")
        return next_row

    def restore(self, Rows rows not None):
        """Set last rows and bars from stored rows, in time order, without publishing (recovery)."""
        cdef size_t i
        for i in range(rows.data.size()):
            if self.ptr.restore(deref(rows.data)[i]) == kRefused:
                raise ValueError(f"row {i} has no event time or no instrument of this tape's table")

    def room(self):
        """Rows that can be published before a holding cursor stops the tape."""
        return self.ptr.room()

    @property
    def head(self):
        """Rows entered so far: the number the next one gets."""
        return self.ptr.head()

    @property
    def capacity(self):
        return self.ptr.capacity()

    @property
    def duplicates(self):
        """Rows dropped because their identity was that of the last row."""
        return self.ptr.duplicates()

    @property
    def late(self):
        """Rows that came after a newer one of their instrument; only the log sees them."""
        return self.ptr.late()

    def last(self, uint32_t instrument):
        """The last row as a dict of QAMD names (None: no value), or None when there was none."""
        cdef const Snapshot* row = self.ptr.last(instrument)
        if row == NULL:
            return None
        return self.rows_of(row).to_dict(0)

    def last_row(self, uint32_t instrument):
        """The last row of an instrument as Rows: one row, or none."""
        return self.rows_of(self.ptr.last(instrument))

    def last_identity(self, uint32_t instrument):
        """(ts_event_ns, ordinal) of the last row, or None."""
        cdef const Snapshot* row = self.ptr.last(instrument)
        if row == NULL:
            return None
        return (row.ts_event_ns(), row.ordinal)

    def trading_day(self, uint32_t instrument):
        """The trading day (YYYYMMDD) of the last row, 0 when there was none."""
        cdef const Snapshot* row = self.ptr.last(instrument)
        return 0 if row == NULL else <int>row.trading_day

    def day_prices(self, uint32_t instrument):
        """What the last row says of its day: (trading_day, last, settlement, previous settlement, lower limit, upper
        limit), 0 where it says nothing."""
        cdef const Snapshot* row = self.ptr.last(instrument)
        if row == NULL:
            return 0, 0.0, 0.0, 0.0, 0.0, 0.0
        return (<int>row.trading_day, _price(row, _LAST), _price(row, _SETTLEMENT), _price(row, _PRE_SETTLEMENT),
                _price(row, _LOWER), _price(row, _UPPER))

    def phase(self, uint32_t instrument):
        """(phase, ts_event_ns) of the last row, or None: 0 trading, 1 pre-open, 2 auction, 3 suspended."""
        cdef const Snapshot* row = self.ptr.last(instrument)
        if row == NULL:
            return None
        return (<int>row.phase, row.ts_event_ns())

    def seen(self):
        """Instruments that have a last row, in order of appearance."""
        return list(self.ptr.seen())

    def bars(self, uint32_t instrument, int64_t period_s=60):
        """Bars of one instrument as an Arrow RecordBatch, the open one last.

        `period_s` is a multiple of 60. Columns: datetime (int64 Unix ns of the opening), open, high, low,
        close, volume, amount, open_oi, close_oi, trading_day (YYYYMMDD).
        """
        cdef vector[CBar] found
        cdef int64_t period_ns = _period_ns(period_s)
        cdef const Line* line = self.ptr.line(instrument)
        if line != NULL:
            bars_of_line(deref(line), deref(self.instruments.entry(instrument)), deref(self.calendar.ptr), period_ns,
                         found)
        return _bar_batch(found)

    cdef Rows rows_of(self, const Snapshot* row):
        cdef Rows rows = Rows.make(self.instruments)
        if row != NULL:
            rows.data.push_back(deref(row))
        return rows


# What a row of a tick series shows, in order; the follower's rows carry these values.
FOLLOWED_FIELDS = (
    "last_price", "average", "highest", "lowest", "amount", "open_interest", "volume",
    *(f"{side}_{what}{level}" for side in ("bid", "ask") for level in range(1, 6) for what in ("price", "volume")),
)


cdef class Follower:
    """A cursor that never holds the tape and hands over the rows of the instruments it watches."""

    def __cinit__(self, Tape tape not None):
        self.tape = tape
        self.cursor = tape.ptr.add_cursor(False)
        for name in FOLLOWED_FIELDS:
            self.fields.push_back(FIELD_INDEX[name])

    def __dealloc__(self):
        if self.tape is not None:
            self.tape.ptr.remove_cursor(self.cursor)

    def watch(self, uint32_t instrument, cbool watched=True):
        """Begin or cease to hand over an instrument's rows, from the next `read` on."""
        if instrument >= self.watched.size():
            self.watched.resize(instrument + 1, 0)
        if self.watched[instrument] != watched:
            self.count += 1 if watched else -1
        self.watched[instrument] = watched

    def read(self):
        """Return ([(instrument, ts_event_ns, ordinal, trading_day, [values])], lost), oldest row first.

        Values are those of FOLLOWED_FIELDS as floats, NaN for none. `lost` counts rows of any instrument that
        were overwritten unread: then the watched ones' rows are not complete. Late rows are passed over.
        """
        cdef TapeSpan span = self.tape.ptr.read(self.cursor)
        cdef uint64_t at
        cdef const Entry* entry
        cdef size_t k
        cdef int field
        cdef list found = [], values
        if self.count:
            for at in range(span.begin, span.end):
                entry = &self.tape.ptr.at(at)
                if entry.late or entry.after.instrument >= self.watched.size():
                    continue
                if not self.watched[entry.after.instrument]:
                    continue
                values = []
                for k in range(self.fields.size()):
                    field = self.fields[k]
                    if not entry.after.has(field):
                        values.append(NO_VALUE)
                    elif is_count(field):
                        values.append(<double>entry.after.count(field))
                    else:
                        values.append(entry.after.price(field))
                found.append((entry.after.instrument, entry.after.ts_event_ns(), entry.after.ordinal,
                              entry.after.trading_day, values))
        self.tape.ptr.advance(self.cursor, span.end)
        return found, (span.lost if self.count else 0)


cdef int64_t _period_ns(int64_t period_s) except -1:
    if period_s <= 0 or period_s % 60 != 0 or period_s > 86_400:
        raise ValueError(f"a bar period is a multiple of 60 seconds up to a day, not {period_s} s")
    return period_s * 1_000_000_000


def bars_from_rows(Rows rows not None, Calendar calendar not None, Instruments instruments not None,
                   int64_t period_s=60, *, bint whole_days=True):
    """Bars of stored rows as an Arrow RecordBatch ordered by (datetime, instrument_id).

    Rows of any instruments, each instrument's in time order. With `whole_days` the rows of an instrument
    begin where its trading day does, so its first row's volume counts; without, that volume was traded before
    the range and counts only if the row opens its day. Columns: instrument_id, datetime (timestamp[us, UTC],
    opening), trading_date (date32), open, high, low, close, volume, amount, open_oi, close_oi.
    """
    cdef vector[InstrumentBar] found
    cdef int64_t period_ns = _period_ns(period_s)
    cpp_bars_from_rows(deref(instruments.ptr), deref(calendar.ptr), rows.data.data(), rows.data.size(),
                       period_ns, whole_days, found)
    return _instrument_bar_batch(found, instruments)


cdef class BarFolder:
    """`bars_from_rows` in steps: rows are added as they come, each instrument's in time order."""

    def __cinit__(self, Instruments instruments not None, Calendar calendar not None, int64_t period_s=60, *,
                  bint whole_days=True):
        cdef int64_t period_ns = _period_ns(period_s)
        self.instruments = instruments
        self.calendar = calendar
        self.ptr = new CBarFolder(deref(instruments.ptr), deref(calendar.ptr), period_ns, whole_days)

    def __dealloc__(self):
        del self.ptr

    def add(self, Rows rows not None):
        """Fold rows in. ValueError for rows that number their instruments differently."""
        if rows.instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        self.ptr.add(rows.data.data(), rows.data.size())

    def copy(self):
        """A folder that has folded the same rows; what is added to one is not in the other."""
        cdef BarFolder other = BarFolder.__new__(BarFolder, self.instruments, self.calendar)
        del other.ptr
        other.ptr = NULL
        other.ptr = new CBarFolder(deref(self.ptr))
        return other

    def forget(self, uint32_t instrument):
        """Forget an instrument: its rows can be added anew, from the first."""
        self.ptr.forget(instrument)

    def drop_before(self, int64_t open_ns):
        """Let go of bars that are over and open before a moment; an instrument's open bar stays."""
        self.ptr.drop_before(open_ns)

    def finish(self):
        """All bars so far, as `bars_from_rows` returns them; the folder then starts anew."""
        cdef vector[InstrumentBar] found
        self.ptr.finish(found)
        return _instrument_bar_batch(found, self.instruments)


cdef object _instrument_bar_batch(vector[InstrumentBar]& found, Instruments instruments):
    import pyarrow as pa

    cdef size_t count = found.size(), i
    cdef vector[CBar] bars
    cdef dict names = {}
    cdef list ids = []
    cdef bytes times = PyBytes_FromStringAndSize(NULL, count * 8)
    cdef bytes days = PyBytes_FromStringAndSize(NULL, count * 4)
    cdef int64_t* time_of = <int64_t*>PyBytes_AS_STRING(times)
    cdef int32_t* day_of = <int32_t*>PyBytes_AS_STRING(days)
    bars.reserve(count)
    for i in range(count):
        bars.push_back(found[i].bar)
        time_of[i] = found[i].bar.open_ns // 1000
        day_of[i] = days_from_date(found[i].bar.trading_day)
        name = names.get(found[i].instrument)
        if name is None:
            name = names[found[i].instrument] = instruments.symbol(found[i].instrument)
        ids.append(name)
    columns = {
        "instrument_id": pa.array(ids, pa.string()),
        "datetime": _array(pa, pa.timestamp("us", tz="UTC"), count, times),
        "trading_date": _array(pa, pa.date32(), count, days),
    }
    columns.update(_value_columns(pa, bars))
    return pa.RecordBatch.from_pydict(columns)


cdef object _bar_batch(vector[CBar]& bars):
    import pyarrow as pa

    cdef size_t count = bars.size(), i
    cdef bytes times = PyBytes_FromStringAndSize(NULL, count * 8)
    cdef bytes days = PyBytes_FromStringAndSize(NULL, count * 4)
    for i in range(count):
        (<int64_t*>PyBytes_AS_STRING(times))[i] = bars[i].open_ns
        (<int32_t*>PyBytes_AS_STRING(days))[i] = bars[i].trading_day
    columns = {"datetime": _array(pa, pa.int64(), count, times)}
    columns.update(_value_columns(pa, bars))
    columns["trading_day"] = _array(pa, pa.int32(), count, days)
    return pa.RecordBatch.from_pydict(columns)


cdef dict _value_columns(object pa, vector[CBar]& bars):
    cdef size_t count = bars.size(), i
    cdef list blocks = [PyBytes_FromStringAndSize(NULL, count * 8) for _ in range(8)]
    cdef double* out[8]
    for i in range(8):
        out[i] = <double*>PyBytes_AS_STRING(blocks[i])
    cdef int64_t* volume = <int64_t*>out[4]
    for i in range(count):
        out[0][i] = bars[i].open
        out[1][i] = bars[i].high
        out[2][i] = bars[i].low
        out[3][i] = bars[i].close
        volume[i] = bars[i].volume
        out[5][i] = bars[i].amount
        out[6][i] = bars[i].open_oi
        out[7][i] = bars[i].close_oi
    names = ("open", "high", "low", "close", "volume", "amount", "open_oi", "close_oi")
    return {name: _array(pa, pa.int64() if name == "volume" else pa.float64(), count, block)
            for name, block in zip(names, blocks)}


cdef object _array(object pa, object kind, size_t count, bytes values):
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(values)])
