# C++ names of the exchange, and the extension class that other modules take by cimport.
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.account cimport CLedger, Ledger, MarginSide, Offset, Side, Terms
from qautlra._core.journal cimport Journal
from qautlra._core.risk cimport CGate, Gate, Limits


cdef extern from "exchange/exchange.hpp" namespace "qautlra::exchange" nogil:
    const uint32_t kNone

    cdef enum PriceType "qautlra::book::PriceType":
        pass
    cdef enum TimeCondition "qautlra::book::TimeCondition":
        pass
    cdef enum VolumeCondition "qautlra::book::VolumeCondition":
        pass
    cdef enum Phase "qautlra::book::Phase":
        pass
    cdef enum Reason "qautlra::book::Reason":
        kDelivered "qautlra::book::Reason::kDelivered"
        kExercised "qautlra::book::Reason::kExercised"
        kLapsed "qautlra::book::Reason::kLapsed"
    cdef enum SelfTrade "qautlra::book::SelfTrade":
        pass
    cdef enum TradePrice "qautlra::book::TradePrice":
        pass
    cdef enum State "qautlra::risk::State":
        pass
    cdef enum Status:
        pass
    cdef enum EventKind:
        kOrder "qautlra::exchange::EventKind::kOrder"
        kTrade "qautlra::exchange::EventKind::kTrade"

    cdef cppclass Rules "qautlra::book::Rules":
        uint32_t kinds
        int32_t volume_min[2]
        int32_t volume_step[2]
        int32_t volume_max
        SelfTrade self_trade
        TradePrice trade_price
        cbool best_rests
    cdef cppclass Band "qautlra::book::Band":
        int64_t lower, upper
    cdef cppclass BookBounds "qautlra::book::Bounds":
        uint32_t live_orders_max, accounts_max
    cdef cppclass CBook "qautlra::book::Book":
        Phase phase
        int64_t base
        int64_t upper()
    cdef cppclass DepthLevel "qautlra::book::DepthLevel":
        int64_t price, volume
    cdef cppclass CBooks "qautlra::book::Books":
        const CBook& at(uint32_t)
        size_t depth(uint32_t, Side, size_t, DepthLevel*)
        uint32_t live_orders()
        uint64_t trades()
    cdef cppclass Options:
        Options()
        BookBounds books
        uint32_t orders_max
        uint32_t trades_max
        MarginSide margin_side
        Limits limits
        cbool keeps_days
    cdef cppclass JournalHook:
        JournalHook()
        uint64_t (*append)(void*, uint8_t, const void*, size_t) noexcept nogil
        void* context
    cdef cppclass Listing:
        Listing()
        string_view symbol
        Terms terms
        Rules rules
        Band band
        int64_t reference
        cbool has_reference
    cdef cppclass Insert:
        Insert()
        uint32_t account, instrument
        string_view client_id
        int64_t volume, price, now_ns
        int32_t min_volume, gtd_day
        Side side
        Offset offset
        PriceType price_type
        TimeCondition time
        VolumeCondition volume_condition
        cbool reduce_only, force
    cdef cppclass Outcome:
        uint16_t code
        uint32_t order
        uint64_t lsn
        uint8_t warnings
    cdef cppclass OrderRecord:
        uint64_t id
        uint32_t account
        int64_t lots_frozen()
        uint32_t instrument()
        Side side()
        int32_t volume, left
        int64_t price, insert_ns, update_ns
        uint64_t seq
        Offset offset
        PriceType price_type
        TimeCondition time
        VolumeCondition volume_condition
        Status status
        Reason reason
        uint16_t code
    cdef cppclass Expiry:
        uint32_t instrument, into
        Reason how
        int64_t price, fee, strike, now_ns
        cbool is_put
    cdef cppclass OrderTable:
        uint32_t size()
        const OrderRecord& at(uint32_t)
        uint32_t find(uint32_t, string_view)
        string_view client_id(uint32_t)
    cdef cppclass TradeRecord:
        uint32_t order, account
        int32_t volume
        int64_t price, commission, close_profit, time_ns
        uint64_t match, seq
    cdef cppclass TradeTable:
        uint32_t size()
        const TradeRecord& at(uint32_t)
    cdef cppclass Event:
        EventKind kind
        Status status
        Reason reason
        uint16_t code
        uint32_t order, account, instrument, record
        int32_t left, volume
        int64_t price
        uint64_t seq, trade
        int64_t commission, close_profit

    cdef cppclass CExchange "qautlra::exchange::Exchange":
        CExchange(const Options&, const JournalHook&) except +
        cbool ready()
        uint32_t open_account(string_view, int64_t) except +
        uint32_t account_number(string_view)
        uint16_t list(const Listing&, uint32_t&) except +
        uint32_t instrument_number(string_view)
        Outcome insert(const Insert&) except +
        Outcome cancel(uint32_t, string_view, int64_t, cbool) except +
        Outcome cancel_all(uint32_t) except +
        Outcome amend(uint32_t, string_view, int64_t, int64_t, int64_t) except +
        Outcome street(uint32_t, Side, int64_t, int64_t, TimeCondition, int64_t) except +
        Outcome move_money(uint32_t, int64_t) except +
        Outcome mark(uint32_t, int64_t, int64_t) except +
        Outcome set_phase(uint32_t, Phase, int64_t) except +
        Outcome set_band(uint32_t, const Band&) except +
        Outcome end_day() except +
        Outcome set_settlement(uint32_t, int64_t) except +
        Outcome expire(const Expiry&) except +
        Outcome settle(int32_t) except +
        unique_ptr[CExchange] take_ended()
        void reuse(CExchange&)
        Outcome checkpoint() except +
        Outcome set_state(uint32_t, State) except +
        Outcome set_locks(uint32_t, uint8_t) except +
        Outcome note(const void*, size_t)
        uint32_t review(uint32_t, int64_t) except +
        uint16_t replay(uint8_t, const void*, size_t) except +
        const vector[Event]& events()
        void clear_events()
        const OrderTable& orders()
        const TradeTable& trades()
        vector[uint32_t] orders_of(uint32_t) except +
        vector[uint32_t] trades_of(uint32_t) except +
        uint32_t live_in(uint32_t)
        cbool is_held(uint32_t)
        const CBooks& books()
        CGate& gate()
        CLedger& ledger()
        int32_t trading_day()
        uint32_t accounts()
        uint32_t instruments()
        const string& symbol(uint32_t)
        const string& account_name(uint32_t)
        uint64_t broken()
        uint64_t state_hash()


cdef extern from "exchange/recover.hpp" namespace "qautlra::exchange" nogil:
    cdef cppclass Note:
        uint64_t lsn
        string payload
    cdef cppclass CRecovered "qautlra::exchange::Recovered":
        uint64_t records, last_lsn, offset, lsn
        vector[Note] notes
        string error, path
    CRecovered recover(CExchange&, const string&, uint64_t) except +


cdef class _Core:
    cdef CExchange* ptr


cdef class Exchange:
    cdef CExchange* ptr  # the core's
    cdef _Core core
    cdef readonly Journal journal
    cdef readonly Ledger ledger
    cdef readonly Gate gate
    cdef public bint auto_commit
    cdef tuple answer(self, Outcome out)
    cdef void learn(self)
