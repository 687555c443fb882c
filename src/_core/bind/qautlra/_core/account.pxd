# C++ names of account/, and the extension classes that other modules take by cimport.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector


cdef extern from "book/types.hpp" namespace "qautlra::book" nogil:
    cdef enum class Side(uint8_t):
        kBuy, kSell


cdef extern from "account/code.hpp" namespace "qautlra::account" nogil:
    cdef enum class Code(uint16_t):
        kOk, kNoInstrument
    cdef cppclass CodeInfo:
        Code code
        uint16_t diff
        uint16_t ctp
        const char* name
        const char* text
    const CodeInfo* all_codes(size_t&)


cdef extern from "account/money.hpp" namespace "qautlra::account" nogil:
    const int64_t kNoValue
    int64_t to_price(double)
    int64_t to_money(double)
    int64_t to_ratio(double)
    double to_cny(int64_t)


cdef extern from "account/hash.hpp" namespace "qautlra::account" nogil:
    uint64_t key_of(string_view)


cdef extern from "account/terms.hpp" namespace "qautlra::account" nogil:
    cdef enum class Offset(uint8_t):
        kOpen, kClose, kCloseToday
    cdef enum class Asset(uint8_t):
        kFuture, kOption, kStock
    cdef enum class CloseRule(uint8_t):
        kSplit, kTodayFirst, kHisFirst, kHisOnly
    cdef cppclass Rate:
        int64_t ratio
        int64_t per_lot
    cdef cppclass Terms:
        Terms()
        uint64_t key
        int64_t multiple
        int64_t tick
        Rate margin[2]
        Rate fee_open
        Rate fee_close
        Rate fee_close_today
        int64_t fee_min
        int64_t transfer_fee
        int64_t sell_tax
        int32_t group
        Asset asset
        CloseRule close_rule
    cdef cppclass Quote:
        int64_t last
        int64_t bid
        int64_t ask
        int64_t upper
        int64_t lower
        int64_t settlement
        int64_t last_ns
        cbool tradable
        cbool open
    CloseRule close_rule_of(string_view, Asset)


cdef extern from "account/account.hpp" namespace "qautlra::account" nogil:
    cdef cppclass Board:
        cbool known(uint32_t)
        const Terms& terms(uint32_t)
        Quote& quote(uint32_t)
        const vector[uint32_t]& holders(uint32_t)
        size_t size()
    cdef cppclass Leg:
        Leg()
        int64_t today, his, frozen_today, frozen_his, yd, opening
        int64_t cost_today, cost_his, open_cost_his, margin, value
        int64_t volume()
        int64_t frozen()
        int64_t position_cost()
        int64_t open_cost()
    cdef cppclass Position:
        uint32_t instrument
        int64_t last
        int64_t frozen_margin
        cbool empty()
    cdef cppclass Positions:
        size_t size()
        const Position& operator[](size_t)
    cdef cppclass CHold "qautlra::account::Hold":
        CHold()
        uint32_t instrument
        Side side
        cbool opens
        int64_t left, his, price, commission, fee_due, fee_charged
        int64_t today()
        int64_t margin()
        int64_t premium()
    cdef cppclass Filled:
        Filled()
        int64_t commission, close_profit, closed_today, closed_his
    cdef cppclass Funds:
        Funds()
        int64_t pre_balance, deposit, withdraw, close_profit, position_profit, commission, premium
        int64_t margin, frozen_margin, frozen_commission, frozen_premium, bought, sold
    cdef enum class MarginSide(uint8_t):
        kSum, kMax
    cdef cppclass CAccount "qautlra::account::Account":
        Code deposit(int64_t)
        Code withdraw(int64_t)
        Code plan(uint32_t, Side, Offset, int64_t, int64_t, CHold&) except +
        void take(const CHold&) except +
        Code freeze(uint32_t, Side, Offset, int64_t, int64_t, CHold&) except +
        Code shrink(CHold&, int64_t) except +
        Code move(CHold&, int64_t) except +
        void release(CHold&) except +
        Code fill(CHold&, int64_t, int64_t, Filled&) except +
        Code trade(uint32_t, Side, Offset, int64_t, int64_t, Filled&) except +
        Code close_out(uint32_t, Side, int64_t, int64_t, int64_t, int64_t, Filled&) except +
        Code assign(uint32_t, Side, int64_t, int64_t) except +
        Code settle() except +
        Code set_leg(uint32_t, Side, const Leg&, int64_t) except +
        void set_funds(const Funds&)
        int64_t static_balance()
        int64_t balance()
        int64_t available()
        int64_t withdraw_quota()
        int64_t market_value()
        int64_t float_profit()
        double risk_ratio()
        double leverage()
        const Funds& funds()
        Positions positions()
        Leg leg(const Position&, Side)
        const Position* find(uint32_t)
        int64_t open_profit(const Position&, Side)
        int64_t position_profit(const Position&, Side)
        uint32_t number()
        int64_t live_orders()
        uint64_t state_hash()
        uint8_t locks


cdef extern from "account/ledger.hpp" namespace "qautlra::account" nogil:
    const uint32_t kNoAccount
    cdef cppclass CLedger "qautlra::account::Ledger":
        CLedger(MarginSide) except +
        uint32_t open(uint64_t) except +
        CAccount* find(uint32_t)
        size_t size()
        Code set_terms(uint32_t, const Terms&) except +
        Code mark(uint32_t, int64_t, int64_t)
        Code set_settlement(uint32_t, int64_t)
        uint64_t state_hash()
        Board board


cdef extern from "account/liquidate.hpp" namespace "qautlra::account" nogil:
    cdef cppclass Closing:
        uint32_t instrument
        Side side
        Offset offset
        int64_t volume
        int64_t price
    cdef cppclass ClosingRules:
        ClosingRules()
        int64_t slip
        int64_t volume_max
    void plan_liquidation(const CAccount&, const Board&, const ClosingRules&, vector[Closing]&) except +


cdef class Ledger:
    cdef CLedger* ptr  # owned unless borrowed
    cdef bint borrowed
    cdef object keeper  # of what is borrowed
    cdef dict numbers
    cdef dict names
    cdef dict symbols
    cdef CAccount* entry(self, uint32_t number) except NULL


cdef class Hold:
    cdef CHold it


cdef class Account:
    cdef CAccount* ptr  # the ledger's
    cdef readonly Ledger ledger
    cdef dict view(self, const Position& position)


cdef Side side_of(int side) except *
cdef Offset offset_of(int offset) except *
