# C++ names of the hub.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.market cimport Style
from qautlra._core.tape cimport CTape, Tape


cdef extern from "feed/websocket.hpp" namespace "qautlra" nogil:
    size_t text_header_size(size_t)
    char* write_text_header(char*, size_t)


cdef extern from "feed/outlet.hpp" namespace "qautlra" nogil:
    cdef cppclass COutlet "qautlra::Outlet":
        COutlet(int) except +
        size_t send(const char*, size_t)
        cbool open() const
        cbool behind() const
        void caught_up()
        void leave()


cdef extern from "feed/hub.hpp" namespace "qautlra" nogil:
    cdef cppclass ClientOptions:
        ClientOptions()
        Style style
        cbool market_data, full_only, stamp, pull

    cdef cppclass HubLimits:
        HubLimits()
        uint32_t clients, symbols, subscriptions, frame_bytes

    ctypedef enum Refusal "qautlra::Hub::Refusal":
        kNone "qautlra::Hub::Refusal::kNone"
        kClosed "qautlra::Hub::Refusal::kClosed"
        kInstrument "qautlra::Hub::Refusal::kInstrument"
        kSpelling "qautlra::Hub::Refusal::kSpelling"
        kClash "qautlra::Hub::Refusal::kClash"
        kTooManySymbols "qautlra::Hub::Refusal::kTooManySymbols"
        kTooManySubscribed "qautlra::Hub::Refusal::kTooManySubscribed"

    cdef cppclass Wanted "qautlra::Hub::Wanted":
        uint32_t instrument
        string_view shown

    cdef cppclass Plan "qautlra::Hub::Plan":
        size_t bytes
        int64_t shared
        cbool known

    cdef cppclass Counters "qautlra::Hub::Counters":
        uint64_t ticks, resyncs, frames_built, frames_shared, bytes_built

    cdef cppclass CHub "qautlra::Hub":
        CHub(CTape&, const HubLimits&) except +
        uint64_t open() except +
        cbool close(uint64_t) except +
        cbool set_options(uint64_t, const ClientOptions&) except +
        const ClientOptions* options(uint64_t) const
        Refusal subscribe(uint64_t, const vector[Wanted]&, size_t&) except +
        cbool entries(uint64_t, vector[Wanted]&) except +
        size_t drain() except +
        int64_t pending(uint64_t) const
        size_t places() const
        uint64_t handle_at(size_t) const
        cbool plan(uint64_t, string_view, Plan&) except +
        char* write(char*) const
        void commit()
        uint64_t epoch() const
        size_t open_clients() const
        size_t subscriptions() const
        const Counters& counters() const
        uint64_t fragment_hits() const
        uint64_t fragment_misses() const
        const HubLimits& limits() const


cdef class Outlet:
    cdef COutlet* ptr  # owned


cdef struct Sending:
    COutlet* outlet
    const char* data
    size_t size


cdef class Hub:
    cdef CHub* ptr  # owned
    cdef readonly Tape tape
    cdef list kept  # frames of this epoch that other clients may get too, by number
    cdef uint64_t kept_epoch
    cdef list outlets  # by the client's place: its Outlet or None
    cdef readonly uint64_t sent_bytes
    cdef readonly uint64_t sent_frames
    cdef readonly bint unfinished
    cdef vector[Sending] sending  # scratch of send()

    cdef bytes build(self, uint64_t client, string_view tail)
