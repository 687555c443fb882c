# C++ names of the tape, for modules that attach a cursor to it.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from qautlra._core.market cimport (
    Calendar,
    CCalendar,
    CInstrument,
    CInstrumentTable,
    Instruments,
    Mask,
    Rows,
    Snapshot,
    is_count,
)


cdef extern from "market/bar.hpp" namespace "qautlra" nogil:
    const int64_t kMinuteNs
    cdef cppclass CBar "qautlra::Bar":
        int64_t open_ns
        double open, high, low, close, amount, open_oi, close_oi
        int64_t volume
        int32_t trading_day


cdef extern from "tape/tape.hpp" namespace "qautlra" nogil:
    cdef cppclass Entry:
        Snapshot after
        Mask mask
        uint64_t seq
        int64_t stamp_ns
        cbool late

    cdef cppclass Line:
        Snapshot last
        Mask ever

    cdef cppclass TapeSpan "qautlra::Tape::Span":
        uint64_t begin, end, lost

    cdef cppclass TapeTaken "qautlra::Tape::Taken":
        size_t rows
        cbool refused

    ctypedef enum Published "qautlra::Published":
        kNew "qautlra::Published::kNew"
        kDuplicate "qautlra::Published::kDuplicate"
        kLate "qautlra::Published::kLate"
        kFull "qautlra::Published::kFull"
        kRefused "qautlra::Published::kRefused"

    cdef cppclass CTape "qautlra::Tape":
        CTape(const CInstrumentTable&, const CCalendar&, size_t, size_t) except +
        TapeTaken publish(const Snapshot*, size_t) except +
        Published restore(const Snapshot&) except +
        const Snapshot* last(uint32_t) const
        const Line* line(uint32_t) const
        const vector[uint32_t]& seen() const
        uint64_t head() const
        uint64_t oldest() const
        const Entry& at(uint64_t) const
        size_t capacity() const
        size_t room() const
        uint64_t duplicates() const
        uint64_t late() const
        int add_cursor(cbool) except +
        void remove_cursor(int)
        TapeSpan read(int) const
        void advance(int, uint64_t)

    cdef cppclass InstrumentBar:
        uint32_t instrument
        CBar bar

    cdef cppclass CBarFolder "qautlra::BarFolder":
        CBarFolder(const CInstrumentTable&, const CCalendar&, int64_t, cbool) except +
        CBarFolder(const CBarFolder&) except +
        void add(const Snapshot*, size_t) except +
        void forget(uint32_t) except +
        void drop_before(int64_t) except +
        void finish(vector[InstrumentBar]&) except +

    void cpp_bars_from_rows "qautlra::bars_from_rows"(
        const CInstrumentTable&, const CCalendar&, const Snapshot*, size_t, int64_t, cbool,
        vector[InstrumentBar]&) except +
    void bars_of_line(const Line&, const CInstrument&, const CCalendar&, int64_t, vector[CBar]&) except +
    int64_t monotonic_ns()


cdef class BarFolder:
    cdef CBarFolder* ptr  # owned
    cdef readonly Instruments instruments
    cdef readonly Calendar calendar  # kept alive: the folder refers to it


cdef class Tape:
    cdef CTape* ptr  # owned
    cdef readonly Instruments instruments
    cdef readonly Calendar calendar
    cdef Rows rows_of(self, const Snapshot* row)


cdef class Follower:
    cdef readonly Tape tape  # kept alive: the cursor is one of its
    cdef int cursor
    cdef vector[int] fields
    cdef vector[uint8_t] watched  # by instrument
    cdef int count  # of those watched
