# C++ names of the order book, for modules that put something around it.
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector


cdef extern from "book/types.hpp" namespace "qautlra::book" nogil:
    ctypedef uint64_t OrderId
    uint64_t serial_of(OrderId)

    cdef enum Code "qautlra::book::Code":
        kOk "qautlra::book::Code::kOk"
        kFull "qautlra::book::Code::kFull"
    cdef enum Side "qautlra::book::Side":
        kBuy "qautlra::book::Side::kBuy"
        kSell "qautlra::book::Side::kSell"
    cdef enum PriceType "qautlra::book::PriceType":
        pass
    cdef enum TimeCondition "qautlra::book::TimeCondition":
        pass
    cdef enum VolumeCondition "qautlra::book::VolumeCondition":
        pass
    cdef enum Phase "qautlra::book::Phase":
        pass
    cdef enum Reason "qautlra::book::Reason":
        pass
    cdef enum SelfTrade "qautlra::book::SelfTrade":
        pass
    cdef enum TradePrice "qautlra::book::TradePrice":
        pass

    cdef cppclass NewOrder:
        int64_t price
        int32_t volume, min_volume
        uint32_t account
        int32_t gtd_day, held
        Side side
        PriceType price_type
        TimeCondition time
        VolumeCondition volume_condition
        cbool opens

    cdef cppclass Placed:
        Code code
        OrderId id
        int32_t left
        cbool rests

    cdef cppclass Rules:
        uint32_t kinds
        int32_t volume_min[2]
        int32_t volume_step[2]
        int32_t volume_max
        SelfTrade self_trade
        TradePrice trade_price
        cbool best_rests

    cdef cppclass DepthLevel:
        int64_t price, volume

    cdef cppclass Indication:
        int64_t price, volume, imbalance


cdef extern from "book/rules.hpp" namespace "qautlra::book" nogil:
    cdef enum Product "qautlra::book::Product":
        pass

    cdef cppclass Band:
        int64_t lower, upper

    uint32_t cpp_kinds_of "qautlra::book::kinds_of"(string_view, Product)
    Rules rules_of(string_view, string_view, Product)
    cbool cpp_to_ticks "qautlra::book::to_ticks"(double, double, int64_t&)
    Band cpp_band_inside "qautlra::book::band_inside"(double, double, double)
    Band cpp_band_rounded "qautlra::book::band_rounded"(double, double, double)


cdef extern from "book/recorder.hpp" namespace "qautlra::book" nogil:
    cdef enum EventKind "qautlra::book::EventKind":
        kAccepted "qautlra::book::EventKind::kAccepted"
        kFill "qautlra::book::EventKind::kFill"
        kCancelled "qautlra::book::EventKind::kCancelled"
        kAmended "qautlra::book::EventKind::kAmended"

    cdef cppclass Event:
        EventKind kind
        Side side
        Reason reason
        cbool kept_priority
        uint32_t book
        int32_t volume
        int32_t left[2]
        uint32_t account[2]
        int64_t price
        uint64_t trade
        OrderId id[2]

    cdef cppclass Recorder:
        Recorder(size_t) except +
        const vector[Event]& events() const
        size_t size() const
        void clear()


cdef extern from "book/books.hpp" namespace "qautlra::book" nogil:
    cdef cppclass COrder "qautlra::book::Order":
        OrderId id
        int32_t level, left
        uint32_t account
        uint16_t book
        Side side
        TimeCondition time
        uint8_t opens

    cdef cppclass CBook "qautlra::book::Book":
        int64_t base
        uint32_t size
        Phase phase
        cbool has_last, has_reference
        Rules rules
        int64_t last, reference, volume
        int64_t price_of(int32_t) const
        int64_t upper() const

    cdef cppclass Bounds:
        uint32_t live_orders_max, accounts_max, levels_per_book_max
        uint64_t levels_max
        Bounds()

    cdef cppclass CBooks "qautlra::book::Books":
        CBooks(const Bounds&) except +
        cbool ready() const
        Code add(const Rules&, const Band&, uint32_t&) except +
        uint32_t size() const
        const CBook& at(uint32_t) const
        Code check(uint32_t, const NewOrder&) const
        # A recorder that cannot grow raises MemoryError; the order may have traded by then.
        Placed insert(uint32_t, const NewOrder&, Recorder&) except +
        Code cancel(OrderId, Recorder&) except +
        Code remove(OrderId, Reason, Recorder&) except +
        uint32_t remove_account(uint32_t, Reason, Recorder&) except +
        Placed amend(OrderId, int64_t, int32_t, Recorder&) except +
        Code set_phase(uint32_t, Phase, Recorder&) except +
        Code end_day(uint32_t, int32_t, Recorder&) except +
        Code set_band(uint32_t, const Band&, Recorder&) except +
        Code set_rules(uint32_t, const Rules&)
        Code set_reference(uint32_t, int64_t)
        const COrder* order(OrderId) const
        int32_t gtd_day(OrderId) const
        size_t depth(uint32_t, Side, size_t, DepthLevel*) const
        Indication indication(uint32_t) const
        uint32_t live_orders() const
        uint64_t trades() const
        uint64_t last_serial() const
        uint64_t state_hash() const


cdef extern from "book/stream.hpp" namespace "qautlra::book" nogil:
    cdef cppclass StreamResult:
        uint64_t trades, volume, misses, refused
        int64_t value

    cdef cppclass COrderNumbers "qautlra::book::OrderNumbers":
        COrderNumbers(size_t) except +
        size_t count
        cbool ready() const

    void cpp_play "qautlra::book::play"(CBooks&, const void*, size_t, uint32_t, COrderNumbers&, StreamResult&)


cdef extern from *:
    """
    namespace {
    void list_orders(const qautlra::book::Books& books, std::uint32_t book, bool sell,
                     std::vector<const qautlra::book::Order*>& out) {
      const auto keep = [&out](const qautlra::book::Order& o) { out.push_back(&o); return true; };
      if (sell) books.visit<qautlra::book::Side::kSell>(book, keep);
      else books.visit<qautlra::book::Side::kBuy>(book, keep);
    }
    }
    """
    void list_orders(const CBooks&, uint32_t, cbool, vector[const COrder*]&) except + nogil
