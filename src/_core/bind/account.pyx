# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""Accounts for Python: terms, marks, orders' holds, fills, settlement. Money and prices are CNY (float) here.

A refused call answers the number of an `account::Code` (`CODES` tells its name, texts and other numbers) and has
changed nothing; what Python itself got wrong (an unknown side, another ledger's account) raises.
"""

from cython.operator cimport dereference as deref


BUY, SELL = 0, 1
OPEN, CLOSE, CLOSETODAY = 0, 1, 2
_ASSETS = {"future": 0, "option": 1, "stock": 2}
_RULES = {"split": 0, "today_first": 1, "his_first": 2, "his_only": 3}


cdef dict _codes():
    cdef size_t count = 0
    cdef const CodeInfo* first = all_codes(count)
    cdef size_t i
    return {int(<uint16_t>first[i].code):
            (first[i].name.decode(), int(first[i].diff), int(first[i].ctp), first[i].text.decode())
            for i in range(count)}


CODES = _codes()


cdef Side side_of(int side) except *:
    if side != 0 and side != 1:
        raise ValueError(f"side {side} is neither BUY (0) nor SELL (1)")
    return <Side>side


cdef Offset offset_of(int offset) except *:
    if offset < 0 or offset > 2:
        raise ValueError(f"offset {offset} is none of OPEN (0), CLOSE (1), CLOSETODAY (2)")
    return <Offset>offset


cdef int64_t _lots(object volume) except? -1:
    # What is no whole number becomes 0, which every check refuses.
    if isinstance(volume, float):
        if not volume.is_integer():
            return 0
        volume = int(volume)
    if not isinstance(volume, int):
        raise TypeError(f"a volume is a number, not {type(volume).__name__}")
    return volume if -(1 << 62) < volume < (1 << 62) else 0


cdef Rate _rate(object pair) except *:
    cdef Rate rate
    rate.ratio = to_ratio(pair[0])
    rate.per_lot = to_money(pair[1])
    return rate


cdef object _price(int64_t price):
    return None if price == kNoValue else to_cny(price)


cdef int64_t _given(object price) except? -1:
    return kNoValue if price is None else to_price(price)


cdef class Hold:
    """What one live order keeps from its account."""

    @property
    def instrument(self):
        return self.it.instrument

    @property
    def left(self):
        return self.it.left

    def __repr__(self):
        return (f"Hold(instrument={self.it.instrument}, left={self.it.left}, today={self.it.today()}, "
                f"his={self.it.his}, margin={to_cny(self.it.margin())}, commission={to_cny(self.it.commission)})")

    def to_dict(self):
        """Lots and money it keeps."""
        return {"left": self.it.left, "today": self.it.today(), "his": self.it.his,
                "margin": to_cny(self.it.margin()), "commission": to_cny(self.it.commission),
                "premium": to_cny(self.it.premium())}


cdef class Ledger:
    """All accounts over one set of terms and prices; `margin_side` is "sum" or "max" (per `group`)."""

    def __cinit__(self, margin_side="sum"):
        if margin_side not in ("sum", "max"):
            raise ValueError(f"margin_side {margin_side!r} is neither 'sum' nor 'max'")
        self.ptr = new CLedger(MarginSide.kMax if margin_side == "max" else MarginSide.kSum)
        self.numbers = {}
        self.names = {}
        self.symbols = {}

    def __dealloc__(self):
        if not self.borrowed:
            del self.ptr

    cdef CAccount* entry(self, uint32_t number) except NULL:
        cdef CAccount* found = self.ptr.find(number)
        if found == NULL:
            raise ValueError(f"there is no account {number}")
        return found

    def set_terms(self, uint32_t instrument, str symbol, *, multiple=1, double tick=0, margin=(1.0, 0.0),
                  margin_short=None, open=(0.0, 0.0), close=(0.0, 0.0), close_today=None, double fee_min=0,
                  double transfer_fee=0, double sell_tax=0, int32_t group=-1, asset="future", close_rule=None):
        """Set what accounts must know of `symbol`; holders are repriced at once.

        Rates are (ratio of the value, CNY per lot). Without `close_today` today's lots cost what `close` says,
        without `close_rule` the exchange's rule holds. ValueError for what cannot be (a ratio above 1, ...).
        """
        cdef Terms terms
        cdef bytes name = symbol.encode()
        cdef bytes exchange = symbol.partition(".")[0].encode()
        if instrument >= 65536:
            raise ValueError(f"instrument {instrument} is beyond the table")
        if asset not in _ASSETS:
            raise ValueError(f"asset {asset!r} is none of {', '.join(_ASSETS)}")
        if close_rule is not None and close_rule not in _RULES:
            raise ValueError(f"close_rule {close_rule!r} is none of {', '.join(_RULES)}")
        if multiple != int(multiple):
            raise ValueError(f"the volume multiple of {symbol} is no whole number: {multiple}")
        terms.key = key_of(name)
        terms.multiple = int(multiple)
        terms.tick = to_price(tick)
        terms.margin[0] = _rate(margin)
        terms.margin[1] = _rate(margin if margin_short is None else margin_short)
        terms.fee_open = _rate(open)
        terms.fee_close = _rate(close)
        terms.fee_close_today = _rate(close if close_today is None else close_today)
        terms.fee_min = to_money(fee_min)
        terms.transfer_fee = to_ratio(transfer_fee)
        terms.sell_tax = to_ratio(sell_tax)
        terms.group = group
        terms.asset = <Asset><int>_ASSETS[asset]
        terms.close_rule = (close_rule_of(exchange, terms.asset) if close_rule is None
                            else <CloseRule><int>_RULES[close_rule])
        if self.ptr.set_terms(instrument, terms) != Code.kOk:
            raise ValueError(f"the terms of {symbol} cannot be: ratios lie in 0..1, money and ticks are not negative")
        self.symbols[instrument] = symbol

    def set_quote(self, uint32_t instrument, *, bid=None, ask=None, upper=None, lower=None, settlement=None,
                  tradable=None, open=None):
        """Set today's market of an instrument, only what is given; marks come by `mark`."""
        if not self.ptr.board.known(instrument):
            raise ValueError(f"instrument {instrument} has no terms")
        cdef Quote* quote = &self.ptr.board.quote(instrument)
        if bid is not None:
            quote.bid = to_price(bid)
        if ask is not None:
            quote.ask = to_price(ask)
        if upper is not None:
            quote.upper = to_price(upper)
        if lower is not None:
            quote.lower = to_price(lower)
        if settlement is not None:
            quote.settlement = to_price(settlement)
        if tradable is not None:
            quote.tradable = bool(tradable)
        if open is not None:
            quote.open = bool(open)

    def last(self, uint32_t instrument):
        """The newest mark of an instrument in CNY, None before any."""
        if not self.ptr.board.known(instrument):
            raise ValueError(f"instrument {instrument} has no terms")
        return _price(self.ptr.board.quote(instrument).last)

    def mark(self, uint32_t instrument, double last, int64_t now_ns=0):
        """Give a last price to every holder; the number of a code."""
        return int(<uint16_t>self.ptr.mark(instrument, to_price(last), now_ns))

    def set_settlement(self, uint32_t instrument, double price):
        """Set the day's settlement price and mark at it; settle the accounts afterwards."""
        return int(<uint16_t>self.ptr.set_settlement(instrument, to_price(price)))

    def open(self, str name):
        """Open an account (or find it again) and return it."""
        cdef uint32_t number
        cdef bytes text = name.encode()  # a name of its own: a view into a temporary would outlive it
        if name not in self.numbers:
            number = self.ptr.open(key_of(text))
            if number == kNoAccount:
                raise ValueError("there are too many accounts")
            self.numbers[name] = number
            self.names[number] = name
        return self.account(self.numbers[name])

    def account(self, uint32_t number):
        """The account of that number; ValueError when there is none."""
        cdef Account account = Account.__new__(Account)
        account.ptr = self.entry(number)
        account.ledger = self
        return account

    def __len__(self):
        return self.ptr.size()

    def state_hash(self):
        return self.ptr.state_hash()


cdef class Account:
    """One account; made by `Ledger.open`."""

    def __init__(self):
        if self.ptr == NULL:
            raise TypeError("accounts are opened by a Ledger")

    @property
    def number(self):
        return self.ptr.number()

    @property
    def name(self):
        return self.ledger.names[self.ptr.number()]

    @property
    def live_orders(self):
        return self.ptr.live_orders()

    @property
    def locks(self):
        """1: no trading, 2: no withdrawals, 3: neither."""
        return self.ptr.locks

    @locks.setter
    def locks(self, int value):
        if not 0 <= value <= 3:
            raise ValueError(f"locks {value} is not within 0..3")
        self.ptr.locks = <uint8_t>value

    def deposit(self, double amount):
        return int(<uint16_t>self.ptr.deposit(to_money(amount)))

    def withdraw(self, double amount):
        return int(<uint16_t>self.ptr.withdraw(to_money(amount)))

    def freeze(self, uint32_t instrument, int side, int offset, volume, double price):
        """Freeze what an order needs: (0, Hold) or (code, None)."""
        cdef Hold hold = Hold.__new__(Hold)
        cdef Code code = self.ptr.freeze(instrument, side_of(side), offset_of(offset), _lots(volume),
                                         to_price(price), hold.it)
        return (0, hold) if code == Code.kOk else (int(<uint16_t>code), None)

    def shrink(self, Hold hold not None, left):
        """Give back part of an order; `left` lots stay."""
        return int(<uint16_t>self.ptr.shrink(hold.it, _lots(left)))

    def move(self, Hold hold not None, double price):
        """Freeze an order's money at another price; 1001 when an opening order's funds do not reach."""
        return int(<uint16_t>self.ptr.move(hold.it, to_price(price)))

    def release(self, Hold hold not None):
        """Give back what an order still keeps; nothing when it is done."""
        self.ptr.release(hold.it)

    def fill(self, Hold hold not None, volume, double price):
        """Apply a fill: (code, commission, close_profit, closed_today, closed_his)."""
        cdef Filled filled
        cdef Code code = self.ptr.fill(hold.it, _lots(volume), to_price(price), filled)
        return (int(<uint16_t>code), to_cny(filled.commission), to_cny(filled.close_profit),
                filled.closed_today, filled.closed_his)

    def trade(self, uint32_t instrument, int side, int offset, volume, double price):
        """Apply a trade of an order not known here; answers as `fill`."""
        cdef Filled filled
        cdef Code code = self.ptr.trade(instrument, side_of(side), offset_of(offset), _lots(volume),
                                        to_price(price), filled)
        return (int(<uint16_t>code), to_cny(filled.commission), to_cny(filled.close_profit),
                filled.closed_today, filled.closed_his)

    def close_out(self, uint32_t instrument, int side, today, his, double price, double fee=0):
        """Have lots of one side of a position go at the end of their contract, for a fee on their value; answers as
        `fill`."""
        cdef Filled filled
        cdef Code code = self.ptr.close_out(instrument, side_of(side), _lots(today), _lots(his), to_price(price),
                                            to_ratio(fee), filled)
        return (int(<uint16_t>code), to_cny(filled.commission), to_cny(filled.close_profit),
                filled.closed_today, filled.closed_his)

    def assign(self, uint32_t instrument, int side, volume, double price):
        """Take lots of a future that exercise brings; the number of a code."""
        return int(<uint16_t>self.ptr.assign(instrument, side_of(side), _lots(volume), to_price(price)))

    def settle(self):
        """Close the day at the last marks; the number of a code (2005 while orders live)."""
        return int(<uint16_t>self.ptr.settle())

    def set_leg(self, uint32_t instrument, int side, *, today=0, his=0, yd=None, double cost_today=0,
                double cost_his=0, open_cost_his=None, last=None):
        """Take one side of a position as someone else states it (a broker, a document)."""
        cdef Leg leg
        leg.today = _lots(today)
        leg.his = _lots(his)
        leg.yd = leg.his if yd is None else _lots(yd)
        leg.cost_today = to_money(cost_today)
        leg.cost_his = to_money(cost_his)
        leg.open_cost_his = leg.cost_his if open_cost_his is None else to_money(open_cost_his)
        return int(<uint16_t>self.ptr.set_leg(instrument, side_of(side), leg, _given(last)))

    def set_funds(self, *, double pre_balance=0, double deposit=0, double withdraw=0, double close_profit=0,
                  double commission=0, double premium=0):
        """Take the day's sums as someone else states them."""
        cdef Funds funds
        cdef int64_t values[6]
        for i, value in enumerate((pre_balance, deposit, withdraw, close_profit, commission, premium)):
            values[i] = to_money(value)
            if values[i] == kNoValue:
                raise ValueError(f"{value} is no amount an account can hold")
        funds.pre_balance, funds.deposit, funds.withdraw = values[0], values[1], values[2]
        funds.close_profit, funds.commission, funds.premium = values[3], values[4], values[5]
        self.ptr.set_funds(funds)

    def funds(self):
        """The QIFI account object's numbers, and `leverage`, the risk ratio without shares paid in full."""
        cdef const Funds* f = &self.ptr.funds()
        return {
            "pre_balance": to_cny(f.pre_balance),
            "deposit": to_cny(f.deposit),
            "withdraw": to_cny(f.withdraw),
            "withdraw_quota": to_cny(self.ptr.withdraw_quota()),
            "static_balance": to_cny(self.ptr.static_balance()),
            "close_profit": to_cny(f.close_profit),
            "commission": to_cny(f.commission),
            "premium": to_cny(f.premium),
            "position_profit": to_cny(f.position_profit),
            "float_profit": to_cny(self.ptr.float_profit()),
            "balance": to_cny(self.ptr.balance()),
            "margin": to_cny(f.margin),
            "frozen_margin": to_cny(f.frozen_margin),
            "frozen_commission": to_cny(f.frozen_commission),
            "frozen_premium": to_cny(f.frozen_premium),
            "available": to_cny(self.ptr.available()),
            "market_value": to_cny(self.ptr.market_value()),
            "risk_ratio": self.ptr.risk_ratio(),
            "leverage": self.ptr.leverage(),
        }

    cdef dict view(self, const Position& position):
        cdef Leg leg
        cdef Side side
        cdef double multiple = <double>self.ledger.ptr.board.terms(position.instrument).multiple
        cdef int64_t open_profit = 0, profit = 0, margin = 0
        cdef dict out = {"instrument": position.instrument, "symbol": self.ledger.symbols[position.instrument],
                         "last_price": _price(position.last)}
        for side, name in ((Side.kBuy, "long"), (Side.kSell, "short")):
            leg = self.ptr.leg(position, side)
            volume = leg.volume()
            out[f"volume_{name}_today"] = leg.today
            out[f"volume_{name}_his"] = leg.his
            out[f"volume_{name}"] = volume
            out[f"volume_{name}_frozen_today"] = leg.frozen_today
            out[f"volume_{name}_frozen_his"] = leg.frozen_his
            out[f"volume_{name}_frozen"] = leg.frozen()
            out[f"volume_{name}_yd"] = leg.yd
            out[f"pos_{name}_his"] = leg.his
            out[f"pos_{name}_today"] = leg.today
            lots = volume * multiple
            out[f"open_price_{name}"] = to_cny(leg.open_cost()) / lots if volume else 0.0
            out[f"open_cost_{name}"] = to_cny(leg.open_cost())
            out[f"position_price_{name}"] = to_cny(leg.position_cost()) / lots if volume else 0.0
            out[f"position_cost_{name}"] = to_cny(leg.position_cost())
            out[f"cost_{name}_today"] = to_cny(leg.cost_today)
            out[f"float_profit_{name}"] = to_cny(self.ptr.open_profit(position, side))
            out[f"position_profit_{name}"] = to_cny(self.ptr.position_profit(position, side))
            out[f"margin_{name}"] = to_cny(leg.margin)
            open_profit += self.ptr.open_profit(position, side)
            profit += self.ptr.position_profit(position, side)
            margin += leg.margin
        out["float_profit"] = to_cny(open_profit)
        out["position_profit"] = to_cny(profit)
        out["margin"] = to_cny(margin)
        out["frozen_margin"] = to_cny(position.frozen_margin)
        return out

    def position(self, uint32_t instrument):
        """The QIFI position object's numbers, or None when the account never had one since the day began."""
        cdef const Position* found = self.ptr.find(instrument)
        return None if found == NULL else self.view(deref(found))

    def positions(self):
        """All of them, in order of appearance."""
        cdef size_t i
        return [self.view(self.ptr.positions()[i]) for i in range(self.ptr.positions().size())]

    def liquidation(self, double slip=0.005, int64_t volume_max=0):
        """Orders that would close what is not frozen: [(instrument, side, offset, volume, price)]."""
        cdef ClosingRules rules
        cdef vector[Closing] out
        if not 0 <= slip < 1:
            raise ValueError(f"slip {slip} is not within 0..1")
        rules.slip = to_ratio(slip)
        rules.volume_max = volume_max
        plan_liquidation(deref(self.ptr), self.ledger.ptr.board, rules, out)
        return [(c.instrument, int(<uint8_t>c.side), int(<uint8_t>c.offset), c.volume, to_cny(c.price)) for c in out]

    def state_hash(self):
        return self.ptr.state_hash()
