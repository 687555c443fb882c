# cython: language_level=3, boundscheck=False, wraparound=False
"""What the sources need of the core: the simulated market, and resuming and shifting of recorded rows."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from qautlra._core.market cimport CInstrument, Instruments, Rows, Snapshot


cdef extern from "market/sim.hpp" namespace "qautlra" nogil:
    cdef cppclass SimInstrument:
        uint32_t instrument
        uint64_t seed
        int64_t tick_units
        int price_decimals
        double volume_multiple
        int64_t last, pre_close, pre_settlement
        double limit_ratio
        int64_t open, highest, lowest, volume
        double amount
        int64_t open_interest, pre_open_interest
        double ticks_per_s, sigma_per_minute
        int64_t lot, lots_per_trade, depth_lots
        cbool has_iopv
        SimInstrument()

    cdef cppclass CppSimulator "qautlra::Simulator":
        CppSimulator(double)
        size_t add(const SimInstrument&) except +
        void restore(size_t, const Snapshot&)
        void retire(size_t)
        void begin_day(int32_t)
        void open_section(int64_t, int64_t)
        size_t run(int64_t, size_t, vector[Snapshot]&) except +
        size_t blast(int64_t, size_t, vector[Snapshot]&) except +
        void close_day(vector[Snapshot]&) except +
        int64_t due(size_t) except +
        double ticks_per_s()
        size_t size()


cdef extern from "market/resume.hpp" namespace "qautlra" nogil:
    cdef cppclass ResumeMarks:
        void set(uint32_t, int64_t, uint32_t) except +
        size_t drop_stored(vector[Snapshot]&)
        int64_t newest_ns()
    void cpp_shift_days "qautlra::shift_days"(vector[Snapshot]&, int32_t)


cdef class Simulator:
    """The simulated market over interned instruments; `rate_factor` multiplies every cadence.

    Prices are given in whole ticks. Not a clock: the caller opens sections and says until when to run.
    """

    cdef CppSimulator* ptr
    cdef readonly Instruments instruments

    def __cinit__(self, Instruments instruments not None, double rate_factor=1.0):
        if not rate_factor > 0:
            raise ValueError(f"rate_factor must be above zero, not {rate_factor}")
        self.instruments = instruments
        self.ptr = new CppSimulator(rate_factor)

    def __dealloc__(self):
        del self.ptr

    def __len__(self):
        return <Py_ssize_t>self.ptr.size()

    def add(self, uint32_t instrument, *, uint64_t seed, int64_t tick_units, int price_decimals,
            double volume_multiple, int64_t last, int64_t pre_close, int64_t pre_settlement=0,
            double limit_ratio=0.1, int64_t open=0, int64_t highest=0, int64_t lowest=0, int64_t volume=0,
            double amount=0.0, int64_t open_interest=-1, int64_t pre_open_interest=-1,
            double ticks_per_s=2.0, double sigma_per_minute=0.0005, int64_t lot=1,
            int64_t lots_per_trade=5, int64_t depth_lots=50, bint has_iopv=False):
        """List an instrument with its state at the moment; return its index. ValueError for what cannot be."""
        if instrument >= <uint32_t>len(self.instruments):
            raise ValueError(f"no instrument has the number {instrument}")
        if not (0 <= price_decimals <= 6 and tick_units > 0 and last > 0 and pre_close > 0 and lot > 0
                and lots_per_trade > 0 and depth_lots > 0 and 0 < ticks_per_s <= 1e6
                and sigma_per_minute >= 0 and limit_ratio > 0):
            raise ValueError(f"{self.instruments.symbol(instrument)} cannot be simulated with these values")
        cdef SimInstrument spec
        spec.instrument = instrument
        spec.seed = seed
        spec.tick_units = tick_units
        spec.price_decimals = price_decimals
        spec.volume_multiple = volume_multiple
        spec.last = last
        spec.pre_close = pre_close
        spec.pre_settlement = pre_settlement
        spec.limit_ratio = limit_ratio
        spec.open = open
        spec.highest = highest
        spec.lowest = lowest
        spec.volume = volume
        spec.amount = amount
        spec.open_interest = open_interest
        spec.pre_open_interest = pre_open_interest
        spec.ticks_per_s = ticks_per_s
        spec.sigma_per_minute = sigma_per_minute
        spec.lot = lot
        spec.lots_per_trade = lots_per_trade
        spec.depth_lots = depth_lots
        spec.has_iopv = has_iopv
        return self.ptr.add(spec)

    cdef int check(self, size_t index) except -1:
        if index >= self.ptr.size():
            raise IndexError(f"no simulated instrument {index}")
        return 0

    def restore(self, size_t index, Rows rows not None, Py_ssize_t i=0):
        """Continue the instrument from a stored row; one of an earlier trading day becomes the day before."""
        self.check(index)
        self.ptr.restore(index, rows.row(i)[0])

    def retire(self, size_t index):
        """The instrument has expired: it makes no more rows."""
        self.check(index)
        self.ptr.retire(index)

    def begin_day(self, int32_t trading_day):
        """Settle the day before and start `trading_day` (YYYYMMDD)."""
        self.ptr.begin_day(trading_day)

    def open_section(self, int64_t from_ns, int64_t close_ns):
        """Open [from_ns, close_ns); cadences carry over from the section before."""
        if from_ns >= close_ns:
            raise ValueError("a trading section must close after it opens")
        self.ptr.open_section(from_ns, close_ns)

    def run(self, Rows out not None, int64_t until_ns, size_t max_rows):
        """Put the rows due before `until_ns` into `out` (cleared first), `max_rows` at most; return how many."""
        out.data.clear()
        return self.ptr.run(until_ns, max_rows, out.data[0])

    def blast(self, Rows out not None, int64_t now_ns, size_t rows):
        """Put `rows` steps of instruments in turn into `out`, stamped from `now_ns` on, without a cadence."""
        out.data.clear()
        return self.ptr.blast(now_ns, rows, out.data[0])

    def close_day(self, Rows out not None):
        """Put the day's last row of every instrument into `out`: its close, and what futures settle at."""
        out.data.clear()
        self.ptr.close_day(out.data[0])

    def due(self, size_t ahead=0):
        """Stamp of the row `ahead` rows after the next one, None when the section holds none."""
        cdef int64_t at = self.ptr.due(ahead)
        return None if at == 0x7FFFFFFFFFFFFFFF else at

    @property
    def ticks_per_s(self):
        """Rows per second of market time, all instruments together."""
        return self.ptr.ticks_per_s()


cdef class Resume:
    """What of each instrument is stored already, taken from the tape; drops those rows from a replay.

    A replay repeats its rows in the same order, so everything up to the stored row is skipped by place, not
    by time: a row that came late then is not mistaken now.
    """

    cdef ResumeMarks marks

    def __init__(self, tape):
        for instrument in tape.seen():
            identity = tape.last_identity(instrument)
            if identity is not None:
                self.marks.set(instrument, identity[0], identity[1])

    def drop_stored(self, Rows rows not None) -> int:
        """Remove what is stored from `rows`; return how many were removed."""
        return self.marks.drop_stored(rows.data[0])

    def newest_ns(self) -> int:
        """Newest stored event time, 0 when nothing is stored."""
        return self.marks.newest_ns()


def shift_days(Rows rows not None, int32_t days) -> None:
    """Move rows by whole days: event time and trading day."""
    cpp_shift_days(rows.data[0], days)


def price_ticks(Instruments instruments not None, uint32_t instrument):
    """(tick_units, decimals) of an instrument: its tick is tick_units / 10**decimals."""
    cdef const CInstrument* it = instruments.entry(instrument)
    decimals = it.price_decimals
    if it.price_tick <= 0:
        raise ValueError(f"{instruments.symbol(instrument)} has no price tick")
    return max(round(it.price_tick * 10**decimals), 1), decimals
