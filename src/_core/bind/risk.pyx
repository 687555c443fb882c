# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The risk gate for Python: pre-trade checks, states, alerts. The clock is the caller's; codes are account.CODES."""

from cython.operator cimport dereference as deref

from qautlra._core.account cimport Account, Hold, kNoValue, offset_of, side_of, to_cny, to_money, to_price, to_ratio

ACTIVE, REDUCING, HALTED = 0, 1, 2
LIMIT, ANY, BEST, FIVELEVEL = 0, 1, 2, 3
IOC, GFS, GFD, GTD, GTC, GFA = 1, 2, 3, 4, 5, 6
WARN_RISK_RATIO, WARN_CANCELS = 1, 2
LEVELS = ("low", "medium", "high", "critical")
ALERTS = ("level_escalation", "near_liquidation", "liquidation_triggered", "margin_insufficient",
          "negative_available", "daily_loss", "many_cancels")


cdef int64_t _count(str name, object value) except? -1:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < (1 << 62):
        raise ValueError(f"{name} = {value!r} is no whole number from 0")
    return value


cdef int64_t _money(str name, object value) except? -1:
    cdef int64_t money = to_money(value)
    if money == kNoValue or money < 0:
        raise ValueError(f"{name} = {value!r} is no amount of money")
    return money


cdef int64_t _ratio(str name, object value) except? -1:
    cdef int64_t ratio = to_ratio(value)
    if ratio == kNoValue or ratio < 0:
        raise ValueError(f"{name} = {value!r} is no ratio")
    return ratio


cdef Limits limits_of(str profile, dict changes) except *:
    cdef Limits l
    if profile == "live":
        l = Limits.live()
    elif profile == "paper":
        l = Limits.paper()
    else:
        raise ValueError(f"risk profile {profile!r} is neither 'paper' nor 'live'")
    for name, value in changes.items():
        if name == "self_trade":
            l.self_trade = bool(value)
        elif name in ("orders", "cancels"):
            per_s, burst = value
            if name == "orders":
                l.orders.per_s = _count(name, per_s)
                l.orders.burst = _count(name, burst)
            else:
                l.cancels.per_s = _count(name, per_s)
                l.cancels.burst = _count(name, burst)
        elif name == "price_deviation_ratio":
            l.price_deviation = _ratio(name, value)
        elif name == "concentration_ratio":
            l.concentration = _ratio(name, value)
        elif name == "stop_ratio":
            l.ratio_stop = _ratio(name, value)
        elif name == "warn_ratio":
            l.ratio_warn = _ratio(name, value)
        elif name == "notional_max":
            l.notional_max = _money(name, value)
        elif name == "loss_max":
            l.loss_max = _money(name, value)
        elif name == "stale_ns":
            l.stale_ns = _count(name, value)
        elif name == "volume_max":
            l.volume_max = _count(name, value)
        elif name == "repeats_max":
            l.repeats_max = _count(name, value)
        elif name == "active_max":
            l.active_max = _count(name, value)
        elif name == "day_orders":
            l.day_orders = _count(name, value)
        elif name == "day_cancels":
            l.day_cancels = _count(name, value)
        elif name == "day_trades":
            l.day_trades = _count(name, value)
        elif name == "contract_orders":
            l.contract_orders = _count(name, value)
        elif name == "contract_cancels":
            l.contract_cancels = _count(name, value)
        elif name == "contract_trades":
            l.contract_trades = _count(name, value)
        elif name == "contract_opens":
            l.contract_opens = _count(name, value)
        elif name == "contract_open_volume":
            l.contract_open_volume = _count(name, value)
        elif name == "cancels_warn":
            l.cancels_warn = _count(name, value)
        elif name == "cancels_block":
            l.cancels_block = _count(name, value)
        elif name == "position_max":
            l.position_max = _count(name, value)
        else:
            raise ValueError(f"there is no risk limit {name!r}")
    return l


cdef dict _limits_dict(const Limits& l):
    return {
        "volume_max": l.volume_max,
        "price_deviation_ratio": l.price_deviation / 1e9,
        "stale_ns": l.stale_ns,
        "notional_max": to_cny(l.notional_max),
        "orders": (l.orders.per_s, l.orders.burst),
        "cancels": (l.cancels.per_s, l.cancels.burst),
        "repeats_max": l.repeats_max,
        "active_max": l.active_max,
        "day_orders": l.day_orders,
        "day_cancels": l.day_cancels,
        "day_trades": l.day_trades,
        "contract_orders": l.contract_orders,
        "contract_cancels": l.contract_cancels,
        "contract_trades": l.contract_trades,
        "contract_opens": l.contract_opens,
        "contract_open_volume": l.contract_open_volume,
        "cancels_warn": l.cancels_warn,
        "cancels_block": l.cancels_block,
        "position_max": l.position_max,
        "concentration_ratio": l.concentration / 1e9,
        "stop_ratio": l.ratio_stop / 1e9,
        "warn_ratio": l.ratio_warn / 1e9,
        "self_trade": bool(l.self_trade),
        "loss_max": to_cny(l.loss_max),
    }


cdef State _state(int state) except *:
    if state < 0 or state > 2:
        raise ValueError(f"state {state} is none of ACTIVE (0), REDUCING (1), HALTED (2)")
    return <State>state


cdef cbool _always(const void* context, const Request& request) noexcept nogil:
    return True


cdef Request _request(uint32_t account, uint32_t instrument, int side, int offset, object volume, object price,
                      int price_type) except *:
    cdef Request r
    if price_type < 0 or price_type > 3:
        raise ValueError(f"price type {price_type} does not exist")
    r.account = account
    r.instrument = instrument
    r.side = side_of(side)
    r.offset = offset_of(offset)
    whole = isinstance(volume, int) or (isinstance(volume, float) and volume.is_integer())
    r.volume = int(volume) if whole and abs(volume) < (1 << 62) else 0
    r.price = kNoValue if price is None else to_price(price)
    r.price_type = <PriceType>price_type
    return r


cdef class Gate:
    """The checks before an order, over a ledger. `profile` is "paper" or "live"; limits change by name, 0 = off."""

    def __cinit__(self, Ledger ledger not None, str profile="paper", **limits):
        cdef Limits l = limits_of(profile, limits)
        self.ledger = ledger
        self.ptr = new CGate(deref(ledger.ptr), l)

    def __dealloc__(self):
        if self.keeper is None:
            del self.ptr

    def check(self, uint32_t account, uint32_t instrument, int side, int offset, volume, price=None, *,
              int price_type=0, int time=3, int32_t gtd_day=0, bint duplicate=False, bint reduce_only=False,
              bint force=False, bint crosses_own=False, int64_t now_ns=0, int32_t trading_day=0,
              bint place=False):
        """Ask for one order: (code, number of the check that failed, warnings, Hold or None).

        With `place` a passed order is frozen and counted; without it only the rate's bucket changes.
        """
        cdef Request r = _request(account, instrument, side, offset, volume, price, price_type)
        cdef Verdict verdict
        cdef SelfTradeProbe probe
        cdef Hold hold = Hold.__new__(Hold)
        if time < 1 or time > 6:
            raise ValueError(f"time condition {time} does not exist")
        r.time = <TimeCondition>time
        r.gtd_day = gtd_day
        r.duplicate = duplicate
        r.reduce_only = reduce_only
        r.force = force
        if crosses_own:
            probe.crosses = _always
        verdict = self.ptr.check(r, now_ns, trading_day, hold.it, probe)
        if verdict.code != Code.kOk:
            return int(verdict.code), int(verdict.check), int(verdict.warnings), None
        if place:
            self.ledger.entry(account).take(hold.it)
            self.ptr.placed(r)
        return 0, 0, int(verdict.warnings), hold

    def check_outside(self, uint32_t account, uint32_t instrument, int side, int offset, volume, price=None, *,
                      int price_type=0, bint reduce_only=False, bint force=False, int64_t now_ns=0,
                      int64_t live_orders=0):
        """Ask for an order that another exchange takes: (code, number of the check that failed, warnings).

        Lots and money (13 to 17) are that exchange's to judge. Only the rate's bucket changes: say `placed`.
        """
        cdef Request r = _request(account, instrument, side, offset, volume, price, price_type)
        r.reduce_only = reduce_only
        r.force = force
        cdef Verdict verdict = self.ptr.check_outside(r, now_ns, live_orders)
        return int(verdict.code), int(verdict.check), int(verdict.warnings)

    def placed(self, uint32_t account, uint32_t instrument, int side, int offset, volume, price=None, *,
               int price_type=0):
        """Count an order that another exchange has taken."""
        cdef Request r = _request(account, instrument, side, offset, volume, price, price_type)
        self.ledger.entry(account)
        self._bound(instrument)
        self.ptr.placed(r)

    def check_cancel(self, uint32_t account, uint32_t instrument, int64_t now_ns=0):
        """Ask for one cancel: (code, number of the check that failed, warnings)."""
        cdef Verdict verdict = self.ptr.check_cancel(account, instrument, now_ns)
        return int(verdict.code), int(verdict.check), int(verdict.warnings)

    def cancelled(self, uint32_t account, uint32_t instrument):
        """Count a cancel."""
        self.ledger.entry(account)
        self._bound(instrument)
        self.ptr.cancelled(account, instrument)

    def traded(self, uint32_t account, uint32_t instrument):
        """Count a trade."""
        self.ledger.entry(account)
        self._bound(instrument)
        self.ptr.traded(account, instrument)

    def _bound(self, uint32_t instrument):
        if not self.ledger.ptr.board.known(instrument):
            raise ValueError(f"instrument {instrument} has no terms")

    def new_day(self):
        """Begin counting again."""
        self.ptr.new_day()

    def review(self, uint32_t account, int32_t trading_day=0, int64_t now_ns=0):
        """Look at an account after trades or marks: the kinds of alert it raised now."""
        self.ledger.entry(account)
        cdef uint32_t raised = self.ptr.review(account, trading_day, now_ns)
        return [name for kind, name in enumerate(ALERTS) if raised >> kind & 1]

    def level(self, uint32_t account):
        """The risk level at the last review."""
        return LEVELS[<int>self.ptr.monitor().level(account)]

    def alerts(self, uint32_t account):
        """The newest 100 alerts, oldest first."""
        cdef Alert a
        out = []
        for a in self.ptr.monitor().alerts(account):
            out.append({
                "alert_id": alert_id(a).decode(), "seq": a.seq, "kind": ALERTS[<int>a.kind],
                "level": LEVELS[<int>a.level], "risk_ratio": a.ratio, "balance": to_cny(a.balance),
                "available": to_cny(a.available), "ts_ns": a.ts_ns, "trading_day": a.day,
                "handled": bool(a.handled),
            })
        return out

    def handle(self, uint32_t account, uint64_t seq):
        """Mark an alert as handled; False when it is not kept (any more)."""
        return bool(self.ptr.monitor().handle(account, seq))

    @property
    def state(self):
        """ACTIVE, REDUCING or HALTED, for everyone."""
        return int(self.ptr.state())

    @state.setter
    def state(self, int value):
        self.ptr.set_state(_state(value))

    def account_state(self, uint32_t account):
        return int(self.ptr.account_state(account))

    def set_account_state(self, uint32_t account, int state):
        self.ledger.entry(account)
        self.ptr.set_account_state(account, _state(state))

    def set_limits(self, str profile, **limits):
        """Replace the limits of all accounts that have none of their own."""
        self.ptr.set_limits(limits_of(profile, limits))

    def set_account_limits(self, uint32_t account, str profile, **limits):
        """Give one account its own limits."""
        self.ledger.entry(account)
        self.ptr.set_account_limits(account, limits_of(profile, limits))

    def limits(self, uint32_t account):
        """The limits that hold for an account."""
        return _limits_dict(self.ptr.limits(account))

    def state_hash(self):
        return self.ptr.state_hash()
