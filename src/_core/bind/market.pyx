# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""Python's view of the market room: calendar, interned instruments, rows, the CTP normaliser, encoders."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from cython.operator cimport dereference as deref
from libc.math cimport isinf, isnan

import datetime as _datetime


cdef inline str text(const string& s):
    return PyUnicode_DecodeUTF8(s.data(), s.size(), NULL)


cdef inline str view_text(string_view s):
    return PyUnicode_DecodeUTF8(s.data(), s.size(), NULL)


cdef inline string_view as_view(str s) except *:
    """The string's own UTF-8, valid while the string lives."""
    cdef Py_ssize_t size = 0
    cdef const char* data = PyUnicode_AsUTF8AndSize(s, &size)
    return string_view(data, <size_t>size)


cdef string as_string(str s) except *:
    cdef bytes encoded = s.encode("utf-8")
    return string(<const char*>encoded, <size_t>len(encoded))


FIELDS = tuple(view_text(field_name(f)) for f in range(kFieldCount))
COUNT_FIELDS = frozenset(FIELDS[f] for f in range(kFieldCount) if is_count(f))
FIELD_INDEX = {name: f for f, name in enumerate(FIELDS)}
ALL_FIELDS = int(kAllFields)
SOURCES = ("", "sim", "replay", "ctp", "tencent", "sina", "upstream", "import")
STYLE_DIFF, STYLE_LEGACY_RTN, STYLE_LEGACY_MARKET_DATA, STYLE_CORE = range(4)


def is_safe_id(str spelling not None) -> bool:
    """Whether a spelling holds only characters that stand in JSON unescaped (1-64 of A-Za-z0-9._@&- space)."""
    if len(spelling) > 64 or not spelling.isascii():
        return False
    return is_safe_spelling(as_view(spelling))


cdef int32_t day_number(object day, str key) except -1:
    if isinstance(day, _datetime.date):
        return day.year * 10000 + day.month * 100 + day.day
    if isinstance(day, int) and 19000101 <= day <= 22001231:
        try:
            _datetime.date(day // 10000, day // 100 % 100, day % 100)
            return day
        except ValueError:
            pass
    raise ValueError(f"{key}: {day!r} is not a date (YYYYMMDD)")


cdef int32_t clock(object value, str key) except -1:
    """Seconds of "HH:MM"; hours past 24 are the night's small hours."""
    if isinstance(value, str):
        hours, _, minutes = value.partition(":")
        if hours.isdigit() and minutes.isdigit() and int(hours) < 48 and int(minutes) < 60:
            return int(hours) * 3600 + int(minutes) * 60
    raise ValueError(f"{key}: {value!r} is not a time (HH:MM)")


cdef vector[CSection] section_list(object value, str key) except *:
    cdef vector[CSection] out
    cdef CSection section
    for n, pair in enumerate(value):
        if len(pair) != 2:
            raise ValueError(f"{key}[{n}]: expected [open, close]")
        section.open_s = clock(pair[0], f"{key}[{n}]")
        section.close_s = clock(pair[1], f"{key}[{n}]")
        if section.close_s <= section.open_s or (out.size() and section.open_s < out.back().close_s):
            raise ValueError(f"{key}[{n}]: {pair[0]}-{pair[1]} does not follow what stands before it")
        out.push_back(section)
    return out


cdef tuple read_costs(dict entry, str key):
    """(margin_ratio, fee, as_of) of a product, (None, None, None) when its entry states none."""
    margin, fee = entry.get("margin_ratio"), entry.get("fee")
    if margin is not None and not 0 < margin <= 1:
        raise ValueError(f"{key}.margin_ratio: {margin!r} is not a ratio between 0 and 1")
    if fee is not None and (set(fee) != {"open", "close", "close_today", "by"} or fee["by"] not in ("lot", "money")):
        raise ValueError(f'{key}.fee: expected open, close, close_today and by = "lot" or "money"')
    return margin, fee, entry.get("as_of")


cdef class Calendar:
    """Trading days and sections, built from the parsed calendar.toml and products.toml.

    Days are YYYYMMDD integers, instants Unix nanoseconds. Raises ValueError naming the key that is wrong.
    """

    def __cinit__(self, calendar not None, products not None):
        self.ptr = new CCalendar()
        self.names = NULL
        self.costs = {}
        cdef CSections sections
        cdef CExchange exchange
        cdef CProduct product
        self.ptr.set_known_through(day_number(calendar["known_through"], "known_through"))
        for year, days in calendar["closed"].items():
            for day in days:
                self.ptr.close_day(day_number(day, f"closed.{year}"))
        for n, span in enumerate(calendar.get("no_night", ())):
            self.ptr.no_night(day_number(span[0], f"no_night[{n}]"), day_number(span[1], f"no_night[{n}]"))
        for name, entry in calendar["sections"].items():
            sections.name = as_string(name)
            sections.night = section_list(entry.get("night", ()), f"sections.{name}.night")
            sections.day = section_list(entry["day"], f"sections.{name}.day")
            sections.auction_s = int(entry.get("auction_minutes", 0)) * 60
            sections.day_auction_since = int(entry.get("day_auction_since", 0))
            self.ptr.add_sections(sections)
        for name, entry in products["exchanges"].items():
            exchange.id = as_string(name)
            exchange.kind = as_string(entry["kind"])
            exchange.case_rule = as_string(entry.get("case", ""))
            exchange.one_digit_year = entry.get("one_digit_year", False)
            exchange.turnover_needs_multiplier = entry.get("turnover_needs_multiplier", False)
            exchange.average_has_multiplier = entry.get("average_has_multiplier", False)
            exchange.option_hyphen = entry.get("option_hyphen", False)
            exchange.sections_id = self.sections_named(entry.get("sections"), f"exchanges.{name}.sections")
            self.ptr.add_exchange(exchange)
        for name, entry in products["products"].items():
            venue, _, code = name.partition(".")
            if not code or venue not in products["exchanges"]:
                raise ValueError(f"products.{name}: no exchange {venue!r} is known")
            product.exchange = as_string(venue)
            product.code = as_string(code)
            product.name = as_string(entry.get("name", ""))
            product.price_tick = entry["price_tick"]
            product.option_price_tick = entry.get("option_price_tick", 0.0)
            product.volume_multiple = entry["volume_multiple"]
            product.options_only = entry.get("options_only", False)
            product.underlying = as_string(entry.get("underlying", ""))
            product.sections_id = self.sections_named(entry["sections"], f"products.{name}.sections")
            if product.price_tick <= 0 or product.volume_multiple <= 0:
                raise ValueError(f"products.{name}: price_tick and volume_multiple must be above zero")
            self.ptr.add_product(product)
            self.costs[name] = read_costs(entry, f"products.{name}")
        self.example_costs = read_costs(products.get("example_costs", {}), "example_costs")
        self.ptr.finish()
        self.names = new CInstrumentTable(deref(self.ptr), self.ptr.known_through())

    def __dealloc__(self):
        del self.names
        del self.ptr

    def sections_named(self, name, key):
        if name is None:
            return -1
        cdef int32_t found = self.ptr.sections_id(as_view(name))
        if found < 0:
            raise ValueError(f"{key}: no sections {name!r} in the calendar")
        return found

    cdef int32_t sections_of(self, str symbol) except -2:
        cdef string why
        check_spelling(symbol)
        cdef uint32_t at = self.names.intern(as_view(symbol), why)
        if at == kNoInstrument:
            raise ValueError(text(why))
        return self.names.at(at).sections_id

    @property
    def known_through(self) -> int:
        """Last day whose holidays are in the data; later weekdays are taken for trading days."""
        return self.ptr.known_through()

    def trading_day(self, int64_t ts_ns) -> int:
        """Trading day of an instant: from 18:00 the next one, before 08:00 the one after the day before."""
        return self.ptr.trading_day(ts_ns)

    def is_trading_day(self, int32_t day) -> bool:
        return self.ptr.is_trading_day(day)

    def next_trading_day(self, int32_t day) -> int:
        """First trading day strictly after `day`."""
        return self.ptr.next_trading_day(day)

    def previous_trading_day(self, int32_t day) -> int:
        """Last trading day strictly before `day`."""
        return self.ptr.previous_trading_day(day)

    def day_end(self, int32_t trading_day) -> int:
        """Unix ns from which on rows belong to the trading day after `trading_day`: its 18:00."""
        return self.ptr.day_end(trading_day)

    def has_night(self, int32_t trading_day) -> bool:
        """Whether a trading day begins with a night session (never after more than a plain weekend)."""
        return self.ptr.has_night(trading_day)

    def sections(self, str symbol not None):
        """Sections as ("21:00", "26:30") texts, night first; hours past 24 lie after midnight."""
        cdef int32_t at = self.sections_of(symbol)
        if at < 0:
            return []
        cdef const CSections* s = &self.ptr.all_sections()[at]
        out = []
        for x in range(s.night.size()):
            out.append(section_text(s.night[x]))
        for x in range(s.day.size()):
            out.append(section_text(s.day[x]))
        return out

    def section_bounds(self, str symbol not None, int32_t trading_day):
        """(open_ns, close_ns) of every section of one trading day, night first; closing time excluded."""
        cdef vector[CBounds] found = self.ptr.bounds(self.sections_of(symbol), trading_day)
        return [(b.open_ns, b.close_ns) for b in found]

    def auction_openings(self, str symbol not None, int32_t trading_day):
        """Opening times in Unix ns of the day's sections that begin with a call auction: the first one, and the
        daytime behind a night where that has one."""
        return list(self.ptr.auctions(self.sections_of(symbol), trading_day))

    def auction_s(self, str symbol not None) -> int:
        """How many seconds before such an opening its auction begins; rows before that make no bar."""
        cdef int32_t at = self.sections_of(symbol)
        return 0 if at < 0 else self.ptr.all_sections()[at].auction_s

    def bar_open(self, str symbol not None, int64_t ts_ns, int64_t period_ns) -> int:
        """Opening time of the bar an instant belongs to, -1 when it makes none."""
        if period_ns < 1_000_000_000 or period_ns > 86_400_000_000_000 or period_ns % 1_000_000_000:
            raise ValueError(f"a bar's period is whole seconds up to a day, not {period_ns} ns")
        return self.ptr.bar_open(self.sections_of(symbol), ts_ns, period_ns)


cdef tuple section_text(CSection s):
    return (f"{s.open_s // 3600:02d}:{s.open_s // 60 % 60:02d}",
            f"{s.close_s // 3600:02d}:{s.close_s // 60 % 60:02d}")


cdef class Instruments:
    """The interned instruments of a process: dense numbers from 0, at most 65,536, never removed.

    `reference_day` (YYYYMMDD, default the calendar's last known day) settles CZCE's one-digit years.
    """

    def __cinit__(self, Calendar calendar not None, int32_t reference_day=0):
        self.calendar = calendar
        self.ptr = new CInstrumentTable(deref(calendar.ptr), reference_day or calendar.ptr.known_through())

    def __dealloc__(self):
        del self.ptr

    def __len__(self):
        return <Py_ssize_t>self.ptr.size()

    @property
    def reference_day(self) -> int:
        return self.ptr.reference_day()

    def intern(self, str spelling not None) -> int:
        """Number of the instrument a spelling names; ValueError with the reason when it names none."""
        cdef string why
        check_spelling(spelling)
        cdef uint32_t found = self.ptr.intern(as_view(spelling), why)
        if found == kNoInstrument:
            raise ValueError(text(why))
        return found

    def find(self, str spelling not None) -> int:
        """Number of an instrument already interned, -1 otherwise."""
        if len(spelling) > 64 or not spelling.isascii():
            return -1
        cdef uint32_t found = self.ptr.find(as_view(spelling))
        return -1 if found == kNoInstrument else <int64_t>found

    def canonical(self, str spelling not None):
        """EXCHANGE.code of any spelling, None when it names no instrument; interns nothing."""
        cdef CName name
        cdef string why
        if len(spelling) > 256 or not spelling.isascii():
            return None
        if resolve(as_view(spelling), deref(self.calendar.ptr), self.ptr.reference_day(), name, why):
            return text(name.symbol)
        return None

    def symbol(self, uint32_t instrument) -> str:
        return text(self.entry(instrument).symbol)

    cdef const CInstrument* entry(self, uint32_t instrument) except NULL:
        if instrument >= self.ptr.size():
            raise IndexError(f"no instrument has the number {instrument}")
        return &self.ptr.at(instrument)

    def info(self, uint32_t instrument):
        """What is known of an instrument; absent facts are None."""
        cdef const CInstrument* it = self.entry(instrument)
        cdef const CProduct* product = NULL
        cdef tuple costs = (None, None, None)
        cdef tuple assumed = self.calendar.example_costs
        if it.product >= 0:
            product = &self.calendar.ptr.products()[it.product]
            if it.kind == Kind.kFuture or product.options_only:
                costs = self.calendar.costs[f"{text(product.exchange)}.{text(product.code)}"]
            if it.kind == Kind.kFuture:
                costs = (costs[0] or assumed[0], costs[1] or assumed[1], costs[2])
        return {
            "symbol": text(it.symbol),
            "exchange_id": text(it.exchange),
            "instrument_id": text(it.code),
            "kind": kind_name(it.kind).decode(),
            "product_id": text(product.code) if product != NULL else None,
            "product_name": text(product.name) if product != NULL else None,
            "price_tick": it.price_tick if it.price_tick > 0 else None,
            "price_decs": it.price_decimals,
            "volume_multiple": it.volume_multiple,
            "delivery_year": it.delivery_year or None,
            "delivery_month": it.delivery_month or None,
            "option_class": {b"C": "CALL", b"P": "PUT"}.get(bytes([it.option_class])),
            "strike_price": it.strike if it.option_class else None,
            "underlying_symbol": text(it.underlying) or None,
            "leg1_symbol": text(it.leg1) or None,
            "leg2_symbol": text(it.leg2) or None,
            "margin_ratio": costs[0],
            "fee": dict(costs[1]) if costs[1] else None,
            "costs_as_of": costs[2],
        }


cdef int check_spelling(str spelling) except -1:
    if len(spelling) > 256:
        raise ValueError("an instrument's name is longer than 64 characters")
    if not spelling.isascii():
        raise ValueError("an instrument's name holds a character other than letters, digits and . _ @ & - space")
    return 0


cdef class Rows:
    """A C++ vector of snapshots: what sources make and the tape takes."""

    def __cinit__(self, Instruments instruments not None):
        self.data = new vector[Snapshot]()
        self.instruments = instruments

    def __dealloc__(self):
        del self.data

    @staticmethod
    cdef Rows make(Instruments instruments):
        return Rows.__new__(Rows, instruments)

    def __len__(self):
        return <Py_ssize_t>self.data.size()

    cdef Snapshot* row(self, Py_ssize_t i) except NULL:
        if i < 0:
            i += <Py_ssize_t>self.data.size()
        if i < 0 or i >= <Py_ssize_t>self.data.size():
            raise IndexError(f"no row {i}")
        return &deref(self.data)[<size_t>i]

    def instrument(self, Py_ssize_t i) -> int:
        return self.row(i).instrument

    def symbol(self, Py_ssize_t i) -> str:
        return self.instruments.symbol(self.row(i).instrument)

    def ts_event_ns(self, Py_ssize_t i) -> int:
        return self.row(i).ts_event_ns()

    def ordinal(self, Py_ssize_t i) -> int:
        return self.row(i).ordinal

    def trading_day(self, Py_ssize_t i) -> int:
        return self.row(i).trading_day

    def clear(self) -> None:
        self.data.clear()

    def extend(self, Rows other not None, Py_ssize_t start=0, Py_ssize_t stop=-1) -> None:
        """Appends rows [start, stop) of another Rows over the same instruments."""
        if other.instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        cdef Py_ssize_t size = <Py_ssize_t>other.data.size()
        cdef Py_ssize_t i
        if stop < 0 or stop > size:
            stop = size
        start = max(start, 0)
        if start >= stop:
            return
        for i in range(start, stop):
            self.data.push_back(deref(other.data)[<size_t>i])

    def to_dict(self, Py_ssize_t i):
        return row_dict(self.row(i), self.instruments)

    def to_dicts(self):
        """One dict per row: QAMD names (None = no value; datetime in Unix ns), trading_day, seq, recv_time_ns, source."""
        return [row_dict(&deref(self.data)[<size_t>i], self.instruments) for i in range(len(self))]

    def append_dict(self, Instruments instruments not None, values not None) -> None:
        """Appends one row from QAMD names: for tests and cold paths. None, NaN and "-" mean no value."""
        cdef Snapshot s
        cdef double x
        cdef str name
        if instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        s.instrument = instruments.intern(values["instrument_id"])
        for name, value in values.items():
            f = FIELD_INDEX.get(name)
            if f is None or value is None or value == "-":
                continue
            if is_count(f):
                s.set_count(f, value)
            else:
                x = value
                if isinf(x):
                    raise ValueError(f"{name}: {x} is not a price")
                s.set_price(f, x)
        if not s.has(0):
            raise ValueError("datetime: a row needs its event time in Unix ns")
        s.ordinal = values.get("seq", 0)
        s.ts_recv_ns = values.get("recv_time_ns", 0)
        s.trading_day = values.get("trading_day") or instruments.calendar.ptr.trading_day(s.ts_event_ns())
        s.source = <Source><uint8_t>SOURCES.index(values.get("source", ""))
        self.data.push_back(s)


cdef dict row_dict(const Snapshot* s, Instruments instruments):
    cdef dict out = {"instrument_id": instruments.symbol(s.instrument)}
    cdef int f
    for f in range(kFieldCount):
        if not s.has(f):
            out[FIELDS[f]] = None
        elif is_count(f):
            out[FIELDS[f]] = s.count(f)
        else:
            out[FIELDS[f]] = s.price(f)
    out["trading_day"] = s.trading_day
    out["seq"] = s.ordinal
    out["recv_time_ns"] = s.ts_recv_ns
    out["source"] = SOURCES[<uint8_t>s.source]
    return out


cdef class CtpNormaliser:
    """CTP depth records in Arrow tables -> rows. One per source: it numbers rows of equal stamps."""

    def __cinit__(self, Instruments instruments not None, Calendar calendar not None):
        if instruments.calendar is not calendar:
            raise ValueError("the instruments were built over another calendar")
        self.instruments = instruments
        self.calendar = calendar
        self.ptr = new CtpReader(deref(instruments.ptr), deref(calendar.ptr))

    def __dealloc__(self):
        del self.ptr

    def rows(self, batch not None, *, bint trust_action_day, int64_t now_ns, bint ordinals=True, source=None):
        """(rows, refused) of a record batch with columns named as in CTP; missing columns mean no value.

        A record without a usable time, date or instrument is refused and counted; ValueError when a column
        has a type that is not read here. `source` defaults to "replay" for recorded data, else "ctp".
        """
        cdef CtpOptions options
        cdef string why
        options.trust_action_day = trust_action_day
        options.ordinals = ordinals
        options.now_ns = now_ns
        options.source = <Source><uint8_t>SOURCES.index(source or ("replay" if trust_action_day else "ctp"))
        schema_capsule, array_capsule = batch.__arrow_c_array__()
        cdef ArrowSchema* schema = <ArrowSchema*>PyCapsule_GetPointer(schema_capsule, "arrow_schema")
        cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(array_capsule, "arrow_array")
        cdef Rows out = Rows.make(self.instruments)
        cdef int64_t refused = self.ptr.read(deref(schema), deref(array), options, deref(out.data), why)
        if refused < 0:
            raise ValueError(text(why))
        return out, refused

    @property
    def first_refusal(self) -> str:
        """Why the first refused record was refused; empty when none was."""
        return text(self.ptr.first_refusal())


cdef Buffer scratch  # the interpreter lock is held wherever it is used

cdef Style style_of(int style) except *:
    if style < 0 or style >= kStyleCount:
        raise ValueError(f"no style {style}")
    return <Style><uint8_t>style


def snapshot_to_dict(Rows rows not None, Py_ssize_t i):
    return row_dict(rows.row(i), rows.instruments)


cdef str shown(Rows rows, Py_ssize_t i, shown_id):
    if shown_id is None:
        return rows.symbol(i)
    if not is_safe_id(shown_id):
        raise ValueError("a shown id holds a character other than letters, digits and . _ @ & - space")
    return shown_id


def encode(int style, Rows rows not None, Py_ssize_t i, mask=None, bint full=False, shown_id=None) -> bytes:
    """One row as the JSON object of a style; `mask` defaults to every field."""
    cdef Buffer out
    cdef Mask fields = kAllFields if mask is None else mask
    cdef str name = shown(rows, i, shown_id)
    encode_fields(style_of(style), deref(rows.row(i)), fields, full, as_view(name), out)
    return PyBytes_FromStringAndSize(out.data(), <Py_ssize_t>out.size())


def changed_fields(Rows before not None, Py_ssize_t i, Rows after not None, Py_ssize_t j) -> int:
    """Mask of the fields in which row j of `after` differs from row i of `before`."""
    return changed(deref(before.row(i)), deref(after.row(j)))


def fields_of(mask) -> tuple:
    """Names of the fields in a mask, in slot order."""
    return tuple(FIELDS[f] for f in range(kFieldCount) if mask >> f & 1)


def mask_of(names) -> int:
    """Mask of field names; KeyError for a name that is no field."""
    out = 0
    for name in names:
        out |= 1 << FIELD_INDEX[name]
    return out


def diff_json(Rows before not None, Py_ssize_t i, Rows after not None, Py_ssize_t j, int style=STYLE_DIFF) -> bytes:
    """The changed fields of row j against row i as a JSON object; b"" when nothing changed."""
    cdef Snapshot* old = before.row(i)
    cdef Snapshot* new = after.row(j)
    cdef const CInstrument* it = before.instruments.entry(new.instrument)
    scratch.clear()
    if encode_diff(style_of(style), deref(old), deref(new), string_view(it.symbol.data(), it.symbol.size()), scratch) == 0:
        return b""
    return PyBytes_FromStringAndSize(scratch.data(), <Py_ssize_t>scratch.size())
