# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""CTP's records and the tape: frames of ticks for the simulated front, and ticks of a real one as rows."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from cython.operator cimport dereference as deref
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.market cimport (
    Buffer, Calendar, CCalendar, CInstrument, CInstrumentTable, CtpOptions, CtpReader, Instruments, Rows, Snapshot,
    Source, kNoInstrument,
)
from qautlra._core.tape cimport CTape, Tape


cdef extern from "market/ctp_record.hpp" namespace "qautlra" nogil:
    cdef cppclass CtpTick:
        pass


cdef extern from "market/ctp_batch.hpp" namespace "qautlra" nogil:
    int64_t read_ticks(CtpReader&, const CtpTick*, size_t, const CtpOptions&, vector[Snapshot]&) except +


cdef extern from "feed/ctp_feed.hpp" namespace "qautlra" nogil:
    cdef cppclass CtpFeedLimits:
        CtpFeedLimits()
        uint32_t clients, symbols
        size_t unsent_bytes

    ctypedef enum Refusal "qautlra::CtpFeed::Refusal":
        kNone "qautlra::CtpFeed::Refusal::kNone"
        kUnknown "qautlra::CtpFeed::Refusal::kUnknown"
        kTooMany "qautlra::CtpFeed::Refusal::kTooMany"

    cdef cppclass Counters "qautlra::CtpFeed::Counters":
        uint64_t ticks, coalesced, overruns

    cdef cppclass CCtpFeed "qautlra::CtpFeed":
        CCtpFeed(CTape&, const CtpFeedLimits&) except +
        uint32_t open() except +
        void close(uint32_t) except +
        cbool is_open(uint32_t)
        Refusal subscribe(uint32_t, string_view) except +
        cbool unsubscribe(uint32_t, string_view) except +
        void hold(uint32_t, cbool) except +
        void drain() except +
        const Buffer& unsent(uint32_t)
        void sent(uint32_t)
        size_t places()
        uint32_t instrument_of(string_view)
        const Counters& counters()
        @staticmethod
        void frame(const Snapshot&, const CInstrument&, uint16_t, uint16_t, int32_t, Buffer&) except +

    const uint32_t kNoClient "qautlra::CtpFeed::kNone"


TICK_BYTES = sizeof(CtpTick)


cdef inline string_view as_view(str text) except *:
    cdef Py_ssize_t size = 0
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    return string_view(data, <size_t>size)


@cython.no_gc_clear
cdef class CtpFeed:
    """Ticks of the tape as frames of the simulated CTP front, per client. A cursor that skips."""

    cdef CCtpFeed* ptr  # owned
    cdef readonly Tape tape

    def __cinit__(self, Tape tape not None, *, uint32_t max_clients=64, uint32_t max_symbols=5000,
                  size_t unsent_bytes=1 << 20):
        cdef CtpFeedLimits limits
        limits.clients = max_clients
        limits.symbols = max_symbols
        limits.unsent_bytes = unsent_bytes
        self.tape = tape
        self.ptr = new CCtpFeed(deref(tape.ptr), limits)

    def __dealloc__(self):
        del self.ptr

    def open(self) -> int:
        """A new client's number; RuntimeError when all places are taken."""
        cdef uint32_t client = self.ptr.open()
        if client == kNoClient:
            raise RuntimeError("all places of the simulated front are taken")
        return client

    cdef int check(self, uint32_t client) except -1:
        if not self.ptr.is_open(client):
            raise LookupError(f"no client {client} is open")
        return 0

    def close(self, uint32_t client):
        self.ptr.close(client)

    def subscribe(self, uint32_t client, str code not None) -> int:
        """0; 1 when no instrument has this code; 2 when the client has too many."""
        self.check(client)
        return <int>self.ptr.subscribe(client, as_view(code))

    def unsubscribe(self, uint32_t client, str code not None) -> bool:
        """Whether it was subscribed."""
        self.check(client)
        return self.ptr.unsubscribe(client, as_view(code))

    def hold(self, uint32_t client, bint held):
        """While held, ticks become the latest of their instrument; released, those come first."""
        self.check(client)
        self.ptr.hold(client, held)

    def drain(self) -> list:
        """Read the tape; [(client, frames)] of every client that has something unsent and is not held."""
        self.ptr.drain()
        return self.take()

    def take(self) -> list:
        """[(client, frames)] without reading the tape: after a subscription."""
        out = []
        cdef uint32_t client
        cdef const Buffer* unsent
        for client in range(<uint32_t>self.ptr.places()):
            if not self.ptr.is_open(client):
                continue
            unsent = &self.ptr.unsent(client)
            if unsent.size():
                out.append((client, PyBytes_FromStringAndSize(unsent.data(), <Py_ssize_t>unsent.size())))
                self.ptr.sent(client)
        return out

    def depth(self, str code not None, int kind, int flags, int32_t request):
        """The instrument's latest as one frame of this kind; None when there is none."""
        cdef uint32_t instrument = self.ptr.instrument_of(as_view(code))
        if instrument == kNoInstrument:
            return None
        cdef const Snapshot* row = self.tape.ptr.last(instrument)
        if row == NULL:
            return None
        cdef Buffer out
        CCtpFeed.frame(deref(row), deref(self.tape.instruments.entry(instrument)), <uint16_t>kind,
                       <uint16_t>flags, request, out)
        return PyBytes_FromStringAndSize(out.data(), <Py_ssize_t>out.size())

    def instrument_of(self, str code not None):
        """The instrument whose own code this is, None when there is none."""
        cdef uint32_t instrument = self.ptr.instrument_of(as_view(code))
        return None if instrument == kNoInstrument else instrument

    @property
    def ticks(self) -> int:
        return self.ptr.counters().ticks

    @property
    def coalesced(self) -> int:
        return self.ptr.counters().coalesced

    @property
    def overruns(self) -> int:
        return self.ptr.counters().overruns


cdef class CtpTicks:
    """Ticks as the CTP binding hands them over -> rows. One per source: it numbers rows of equal stamps."""

    cdef CtpReader* ptr  # owned
    cdef readonly Instruments instruments
    cdef readonly Calendar calendar

    def __cinit__(self, Instruments instruments not None, Calendar calendar not None):
        if instruments.calendar is not calendar:
            raise ValueError("the instruments were built over another calendar")
        self.instruments = instruments
        self.calendar = calendar
        self.ptr = new CtpReader(deref(instruments.ptr), deref(calendar.ptr))

    def __dealloc__(self):
        del self.ptr

    def rows(self, bytes ticks not None, *, int64_t now_ns, bint recorded=False):
        """(rows, refused) of whole ticks one after another; `recorded` trusts the front's own days."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(ticks)
        if size % <Py_ssize_t>sizeof(CtpTick):
            raise ValueError("not a whole number of ticks")
        cdef CtpOptions options
        options.trust_action_day = recorded
        options.now_ns = now_ns
        options.source = Source.kCtp
        cdef Rows out = Rows.make(self.instruments)
        cdef int64_t refused = read_ticks(
            deref(self.ptr), <const CtpTick*><const void*>PyBytes_AS_STRING(ticks), <size_t>size // sizeof(CtpTick),
            options, deref(out.data))
        return out, refused

    @property
    def first_refusal(self) -> str:
        cdef string why = self.ptr.first_refusal()
        return why.decode("utf-8")
