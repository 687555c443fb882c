# C++ names of risk/, and the extension class that other modules take by cimport.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector

from qautlra._core.account cimport CHold, CLedger, Code, Ledger, Offset, Side


cdef extern from "book/types.hpp" namespace "qautlra::book" nogil:
    cdef enum class PriceType(uint8_t):
        kLimit, kAny, kBest, kFiveLevel
    cdef enum class TimeCondition(uint8_t):
        kIoc, kGfs, kGfd, kGtd, kGtc, kGfa


cdef extern from "risk/limits.hpp" namespace "qautlra::risk" nogil:
    cdef cppclass Pace:
        int64_t per_s
        int64_t burst
    cdef cppclass Limits:
        Limits()
        int64_t volume_max, price_deviation, stale_ns, notional_max
        Pace orders, cancels
        int64_t repeats_max, active_max, day_orders, day_cancels, day_trades
        int64_t contract_orders, contract_cancels, contract_trades, contract_opens, contract_open_volume
        int64_t cancels_warn, cancels_block, position_max, concentration, ratio_stop, ratio_warn
        cbool self_trade
        int64_t loss_max
        @staticmethod
        Limits paper()
        @staticmethod
        Limits live()


cdef extern from "risk/monitor.hpp" namespace "qautlra::risk" nogil:
    cdef enum class Level(uint8_t):
        kLow, kMedium, kHigh, kCritical
    cdef enum class AlertKind(uint8_t):
        kLevelEscalation
    cdef cppclass Alert:
        uint64_t seq
        int64_t ts_ns, balance, available
        double ratio
        uint32_t account
        int32_t day
        AlertKind kind
        Level level
        cbool handled
    string alert_id(const Alert&) except +
    cdef cppclass Monitor:
        Level level(uint32_t)
        vector[Alert] alerts(uint32_t) except +
        cbool handle(uint32_t, uint64_t)


cdef extern from "account/plan.hpp":
    pass  # has Account.take()

cdef extern from "risk/gate.hpp" namespace "qautlra::risk" nogil:
    cdef enum class State(uint8_t):
        kActive, kReducing, kHalted
    cdef cppclass Request:
        Request()
        uint32_t account, instrument
        int64_t volume, price
        int32_t gtd_day
        Side side
        Offset offset
        PriceType price_type
        TimeCondition time
        cbool duplicate, reduce_only, force
    cdef cppclass SelfTradeProbe:
        SelfTradeProbe()
        cbool (*crosses)(const void*, const Request&) noexcept
        const void* context
    cdef cppclass Verdict:
        Code code
        uint8_t check
        uint8_t warnings
    cdef cppclass CGate "qautlra::risk::Gate":
        CGate(CLedger&, const Limits&) except +
        Verdict check(const Request&, int64_t, int32_t, CHold&, const SelfTradeProbe&) except +
        Verdict check_outside(const Request&, int64_t, int64_t) except +
        Verdict check_cancel(uint32_t, uint32_t, int64_t) except +
        void placed(const Request&) except +
        void cancelled(uint32_t, uint32_t) except +
        void traded(uint32_t, uint32_t) except +
        void new_day()
        uint32_t review(uint32_t, int32_t, int64_t) except +
        void set_state(State)
        State state()
        void set_account_state(uint32_t, State) except +
        State account_state(uint32_t)
        void set_limits(const Limits&)
        void set_account_limits(uint32_t, const Limits&) except +
        const Limits& limits(uint32_t) except +
        Monitor& monitor()
        uint64_t state_hash()


cdef class Gate:
    cdef CGate* ptr  # owned unless there is a keeper
    cdef object keeper
    cdef readonly Ledger ledger  # kept alive: the gate refers to it


cdef Limits limits_of(str profile, dict changes) except *
