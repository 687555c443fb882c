# C++ types of base/ and market/, and the extension classes other modules take by cimport.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector


cdef extern from "base/buffer.hpp" namespace "qautlra" nogil:
    cdef cppclass BufferStorage:
        pass

    cdef cppclass Buffer:
        Buffer()
        Buffer(BufferStorage&, size_t) except +
        Buffer(size_t)
        const char* data()
        size_t size()
        size_t capacity()
        void clear()
        char* room(size_t)
        void commit(const char*)
        void append(string_view)


cdef extern from "market/snapshot.hpp" namespace "qautlra" nogil:
    ctypedef uint64_t Mask
    cdef union Slot:
        double price
        int64_t count
        uint64_t bits
    cdef enum class Source(uint8_t):
        kNone, kSim, kReplay, kCtp, kTencent, kSina, kUpstream, kImport
    cdef enum class QuotePhase(uint8_t):
        kTrading, kPreOpen, kAuction, kSuspended
    cdef cppclass Snapshot:
        uint32_t instrument
        uint32_t ordinal
        int64_t ts_recv_ns
        int32_t trading_day
        Source source
        QuotePhase phase
        Slot v[57]
        Snapshot()
        void clear()
        int64_t ts_event_ns()
        double price(int)
        int64_t count(int)
        void set_price(int, double)
        void set_count(int, int64_t)
        cbool has(int)
    Mask changed(const Snapshot&, const Snapshot&)
    Mask present(const Snapshot&)
    cbool is_count(int)
    const int kFieldCount
    const Mask kAllFields
    const int64_t kNoCount
    const double kNoPrice


cdef extern from "market/calendar.hpp" namespace "qautlra" nogil:
    cdef cppclass CSection "qautlra::Section":
        int32_t open_s
        int32_t close_s
    cdef cppclass CSections "qautlra::Sections":
        string name
        vector[CSection] night
        vector[CSection] day
        int32_t auction_s
        int32_t day_auction_since
    cdef cppclass CExchange "qautlra::Exchange":
        string id
        string case_rule
        cbool one_digit_year
        cbool turnover_needs_multiplier
        cbool average_has_multiplier
        cbool option_hyphen
        int32_t sections_id
        string kind
    cdef cppclass CProduct "qautlra::Product":
        string exchange
        string code
        string name
        double price_tick
        double option_price_tick
        double volume_multiple
        int32_t sections_id
        cbool options_only
        string underlying
    cdef cppclass CBounds "qautlra::Calendar::Bounds":
        int64_t open_ns
        int64_t close_ns
    cdef cppclass CPlace "qautlra::Calendar::Place":
        int section
        int32_t trading_day
        int64_t open_ns
        int64_t close_ns
        int64_t bar_ns
    cdef cppclass CCalendar "qautlra::Calendar":
        CCalendar() except +
        void close_day(int32_t)
        void no_night(int32_t, int32_t)
        void set_known_through(int32_t)
        int32_t known_through()
        int32_t add_sections(CSections)
        int32_t sections_id(string_view)
        void add_exchange(CExchange)
        int32_t add_product(CProduct)
        void finish() except +
        cbool is_trading_day(int32_t)
        int32_t next_trading_day(int32_t)
        int32_t previous_trading_day(int32_t)
        int32_t trading_day(int64_t)
        int64_t day_end(int32_t)
        cbool has_night(int32_t)
        vector[CBounds] bounds(int32_t, int32_t)
        vector[int64_t] auctions(int32_t, int32_t)
        CPlace place(int32_t, int64_t)
        int64_t bar_open(int32_t, int64_t, int64_t)
        const vector[CProduct]& products()
        const vector[CSections]& all_sections()
        const CExchange* exchange(string_view)
        int32_t product(string_view, string_view)


cdef extern from "market/instrument.hpp" namespace "qautlra" nogil:
    const uint32_t kNoInstrument
    cdef enum class Kind(uint8_t):
        kFuture, kOption, kStock, kIndex, kFund, kBond, kCombine, kCont, kSpot, kOther
    const char* kind_name(Kind)
    cbool is_safe_spelling(string_view)
    cdef cppclass CName "qautlra::Name":
        string symbol
        string exchange
        string code
        Kind kind
        int32_t product
        int32_t delivery_year
        int32_t delivery_month
        string leg1
        string leg2
        char option_class
        double strike
        string underlying
    cdef cppclass CInstrument "qautlra::Instrument"(CName):
        uint32_t id
        double price_tick
        double volume_multiple
        uint8_t price_decimals
        int32_t sections_id
        cbool turnover_needs_multiplier
        cbool average_has_multiplier
    cbool resolve(string_view, const CCalendar&, int32_t, CName&, string&) except +
    cdef cppclass CInstrumentTable "qautlra::InstrumentTable":
        CInstrumentTable(const CCalendar&, int32_t) except +
        uint32_t intern(string_view, string&) except +
        uint32_t find(string_view) except +
        const CInstrument& at(uint32_t)
        size_t size()
        int32_t reference_day()


cdef extern from "market/style.hpp" namespace "qautlra" nogil:
    cdef enum class Style(uint8_t):
        kDiff, kLegacyRtn, kLegacyMarketData, kCore
    const int kStyleCount


cdef extern from "market/encode.hpp" namespace "qautlra" nogil:
    string_view field_name(int)
    void encode_fields(Style, const Snapshot&, Mask, cbool, string_view, Buffer&) except +
    Mask encode_diff(Style, const Snapshot&, const Snapshot&, string_view, Buffer&) except +


cdef extern from "base/arrow_c.hpp" nogil:
    cdef struct ArrowSchema:
        void (*release)(ArrowSchema*) noexcept
    cdef struct ArrowArray:
        int64_t length
        void (*release)(ArrowArray*) noexcept


cdef extern from "market/ctp_batch.hpp" namespace "qautlra" nogil:
    cdef cppclass CtpOptions "qautlra::CtpReader::Options":
        CtpOptions()
        cbool trust_action_day
        cbool ordinals
        int64_t now_ns
        Source source
    cdef cppclass CtpReader:
        CtpReader(CInstrumentTable&, const CCalendar&) except +
        int64_t read(const ArrowSchema&, const ArrowArray&, const CtpOptions&, vector[Snapshot]&, string&) except +
        const string& first_refusal()
        uint32_t next_ordinal(uint32_t, int64_t) except +


cdef class Calendar:
    cdef CCalendar* ptr              # owned
    cdef CInstrumentTable* names     # owned: instruments asked about by name through this class
    cdef dict costs                  # product key -> (margin_ratio, fee, as_of)
    cdef tuple example_costs
    cdef int32_t sections_of(self, str symbol) except -2


cdef class Instruments:
    cdef CInstrumentTable* ptr       # owned
    cdef readonly Calendar calendar  # kept alive: the table points into it
    cdef const CInstrument* entry(self, uint32_t instrument) except NULL


cdef class Rows:
    cdef vector[Snapshot]* data      # owned
    cdef readonly Instruments instruments

    @staticmethod
    cdef Rows make(Instruments instruments)
    cdef Snapshot* row(self, Py_ssize_t i) except NULL


cdef class CtpNormaliser:
    cdef CtpReader* ptr              # owned
    cdef readonly Instruments instruments
    cdef readonly Calendar calendar
