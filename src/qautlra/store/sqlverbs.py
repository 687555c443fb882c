"""Questions about time as SQL: `sample_by`, `latest_on`, `rolling_mean`, `asof`.

One text for macros and options: `{source}` is the view of a stream in a macro, a filtered part of it for an
option of a query.
"""

from __future__ import annotations

from typing import Any

from qautlra.model.query import Verb
from qautlra.store.plan import Plan, moment
from qautlra.store.predicate import to_sql
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, INSTRUMENT, ORDINAL, TIME, TRADING_DATE, Stream
from qautlra.wire.period import DAY_S, period_s

# Where the grid of aggregates begins: midnight in Beijing. That of bars begins with each trading section.
ORIGIN = "TIMESTAMPTZ '1970-01-01 00:00:00+08'"
_DAY = "INTERVAL 1 DAY"

_PLACED = f"""SELECT r.*, s.seen_by, {{inside}} AS inside, CASE WHEN {{period}} >= {_DAY} THEN s.day_open ELSE
    time_bucket({{period}}, least(greatest(r.datetime, s.open), s.close - INTERVAL 1 MICROSECOND), s.open)
    END AS bucket
  FROM {{source}} r ASOF JOIN __sections s ON r.instrument_id = s.instrument_id
    AND r.trading_date = s.trading_date AND r.datetime < s.close + INTERVAL 1 SECOND"""

# Volumes of ticks count from the day's beginning. A day not recorded from there counts from its first row,
# but for one of its first minute.
# Rows before the range (not `inside`) say what had been traded when it began; they make no bars.
# A row between two sections, or before an auction, is in no bar.
_FROM_TICKS = f"""WITH placed AS ({_PLACED} WHERE r.last_price IS NOT NULL AND r.datetime >= s.early),
totals AS (SELECT bucket, inside, instrument_id, trading_date, any_value(seen_by) AS seen_by,
  min(datetime) AS first,
  arg_min(last_price, row(datetime, seq)) AS open, max(last_price) AS high, min(last_price) AS low,
  arg_max(last_price, row(datetime, seq)) AS close, max(volume) AS total,
  min(volume) AS first_total,  max(amount) AS amount_total, min(amount) AS first_amount,
  arg_min(open_interest, row(datetime, seq)) AS open_oi,
  arg_max(open_interest, row(datetime, seq)) AS close_oi
  FROM placed GROUP BY ALL)
SELECT bucket AS datetime, instrument_id, trading_date, open, high, low, close,
  (total - coalesce(lag(total) OVER day, CASE WHEN first < seen_by THEN 0 ELSE first_total END))::BIGINT
  AS volume,
  amount_total - coalesce(lag(amount_total) OVER day, CASE WHEN first < seen_by THEN 0 ELSE first_amount END)
  AS amount,
  open_oi, close_oi
FROM totals WINDOW day AS (PARTITION BY instrument_id, trading_date ORDER BY bucket, inside) QUALIFY inside"""

_FROM_BARS = f"""WITH placed AS ({_PLACED})
SELECT bucket AS datetime, instrument_id, trading_date, arg_min(open, placed.datetime) AS open,
  max(high) AS high, min(low) AS low, arg_max(close, placed.datetime) AS close,
  sum(volume)::BIGINT AS volume, sum(amount) AS amount, arg_min(open_oi, placed.datetime) AS open_oi,
  arg_max(close_oi, placed.datetime) AS close_oi
FROM placed GROUP BY bucket, instrument_id, trading_date"""

_GRID = f"""SELECT DISTINCT instrument_id, trading_date, CASE WHEN {{period}} >= {_DAY} THEN day_open ELSE
    unnest(generate_series(open, close - INTERVAL 1 MICROSECOND, {{period}})) END AS datetime
  FROM __sections WHERE instrument_id IN (SELECT instrument_id FROM bars)"""

_PREVIOUS = "last_value(b.close IGNORE NULLS) OVER past"
_FILLED = f"""WITH bars AS ({{bars}}), grid AS ({_GRID}),
spans AS (SELECT instrument_id, min(datetime) AS low, max(datetime) AS high FROM bars GROUP BY 1)
SELECT g.datetime, g.instrument_id, g.trading_date,
  {{open}} AS open, {{high}} AS high, {{low}} AS low, {{close}} AS close,
  {{volume}} AS volume, {{amount}} AS amount, b.open_oi, b.close_oi
FROM grid g JOIN spans ON g.instrument_id = spans.instrument_id
  AND g.datetime BETWEEN spans.low AND spans.high
LEFT JOIN bars b ON g.instrument_id = b.instrument_id AND g.datetime = b.datetime
WINDOW past AS (PARTITION BY g.instrument_id ORDER BY g.datetime)"""

_LATEST = """SELECT * FROM {source} r
QUALIFY row_number() OVER (PARTITION BY r.instrument_id ORDER BY {newest}) = 1"""

_ROLLING = """SELECT *, avg({price}) OVER (PARTITION BY instrument_id ORDER BY datetime
  RANGE BETWEEN {period} PRECEDING AND CURRENT ROW) AS rolling_mean FROM {source}"""

KNOWN = "__known_"
"""The column that says since when a row is known, and how the name of the view that has it begins."""

# A join looks at one number: since when a row is known (us), then its place among the rows of that moment.
_ASOF = f"""SELECT a.*, b.* EXCLUDE (instrument_id, {KNOWN}) RENAME (datetime AS other_datetime)
FROM {{source}} a
ASOF LEFT JOIN {{other}} b ON a.instrument_id = b.instrument_id
  AND epoch_us(a.datetime)::HUGEINT * {1 << 64} + {(1 << 63) - 1} >= b.{KNOWN}"""

# A bar is whole when its period or its section is over; what is stamped a second later belongs to it still.
_KNOWN_BARS = f"""SELECT r.*, epoch_us(CASE
    WHEN {{period}} >= {_DAY} THEN coalesce(s.day_close + INTERVAL 1 SECOND, r.datetime + {{period}})
    WHEN r.datetime < s.close AND r.datetime + {{period}} >= s.close THEN s.close + INTERVAL 1 SECOND
    ELSE r.datetime + {{period}} END)::HUGEINT * {1 << 64} AS {KNOWN}
  FROM "{{name}}" r ASOF LEFT JOIN __sections s ON r.instrument_id = s.instrument_id
    AND r.trading_date = s.trading_date AND r.datetime >= s.open"""

_ROW = (TIME, INSTRUMENT)
_DAY_ROW = (*_ROW, TRADING_DATE)
MACROS = {
    "latest_on": (1, (*_ROW, ORDINAL)),
    "sample_by": (1, (*_DAY_ROW, ORDINAL, "last_price", "volume", "amount", "open_interest")),
    "sample_bars": (1, tuple(BAR_SCHEMA.names)),
    "rolling_mean": (1, (*_ROW, "last_price")),
    "asof_join": (2, _ROW),
}
"""Each macro: how many of its leading arguments name a stream, and the columns such a stream needs."""

_PARAMETER = f"""(CASE WHEN period::INTERVAL BETWEEN INTERVAL 1 MICROSECOND AND {_DAY} THEN period::INTERVAL
  ELSE error('a period is longer than nothing and at most a day, not ' || period) END)"""
_TABLE = "query_table(stream)"
MACRO_SQL = (
    "CREATE OR REPLACE TEMP MACRO latest_on(stream) AS TABLE "
    + _LATEST.format(source=_TABLE, newest="datetime DESC, seq DESC")
    + " ORDER BY instrument_id",
    "CREATE OR REPLACE TEMP MACRO sample_by(stream, period) AS TABLE "
    + _FROM_TICKS.format(source=_TABLE, period=_PARAMETER, inside="true")
    + " ORDER BY datetime, instrument_id",
    "CREATE OR REPLACE TEMP MACRO sample_bars(stream, period) AS TABLE "
    + _FROM_BARS.format(source=_TABLE, period=_PARAMETER, inside="true")
    + " ORDER BY datetime, instrument_id",
    "CREATE OR REPLACE TEMP MACRO rolling_mean(stream, period) AS TABLE "
    + _ROLLING.format(source=_TABLE, price="last_price", period=_PARAMETER),
    "CREATE OR REPLACE TEMP MACRO asof_join(stream, other) AS TABLE "
    + _ASOF.format(source=_TABLE, other=f"query_table('{KNOWN}' || other)"),
)


def known_sql(name: str, period_s: int, *, is_bars: bool, place: str = "0") -> str:
    """Return a SELECT of a stream's rows with since when each is known; of bars it reads `__sections`.

    `period_s` is what a row stands for, 0 where rows are moments; `place` is an expression of 64 bits: of
    rows of one instrument known from the same moment on the one where it is greatest is the newest.
    """
    period = _interval(period_s)
    if is_bars:
        return _KNOWN_BARS.format(name=name, period=period)
    since = f'epoch_us("{TIME}" + {period})::HUGEINT * {1 << 64}'
    return f'SELECT *, {since} + {place} AS {KNOWN} FROM "{name}"'


def compile_verb(
    verb: Verb, plan: Plan, other: Stream | None, *, whole: bool = False
) -> tuple[str, list[Any]]:
    """Return one SELECT over the plan's view, and its values; for `sample_by` the view begins with the day.

    Bars are made of the rows of the plan's range; with `whole` of all: those that open in it answer.
    """
    is_bars = plan.stream.name == BAR_1M
    is_sampled = verb.name == "sample_by"
    where, values = _where(plan, with_start=not is_sampled or (is_bars and not whole))
    picked = "*"
    if verb.name == "asof":
        picked = ", ".join(f'"{name}"' for name in plan.read_columns)
    source = f'(SELECT {picked} FROM "{plan.stream.name}" WHERE {where})'
    order = f'"{TIME}", "{INSTRUMENT}"'
    if verb.name == "latest_on":
        newest = f'r."{TIME}" DESC' + ("" if is_bars else f', r."{ORDINAL}" DESC')
        sql, order = _LATEST.format(source=source, newest=newest), f'"{INSTRUMENT}"'
    elif verb.name == "rolling_mean":
        period = _interval(period_s(verb.period, "rolling_mean"))
        sql = _ROLLING.format(source=source, price="close" if is_bars else "last_price", period=period)
    elif verb.name == "asof":
        assert other is not None
        sql = _ASOF.format(source=source, other=f'"{KNOWN}{other.name}"')
    else:
        period = _interval(period_s(verb.period, "sample_by"))
        template = _FROM_BARS if is_bars else _FROM_TICKS
        inside = "true" if whole or is_bars else f'r."{TIME}" >= make_timestamptz({plan.start_us})'
        sql = template.format(source=source, period=period, inside=inside)
        if verb.fill != "none":
            sql = _fill(sql, verb.fill, period)
        if whole:
            sql = f'SELECT * FROM ({sql}) WHERE "{TIME}" >= ?'
            values.append(moment(plan.start_us))
    direction = " DESC" if plan.descending else ""
    columns = "*"
    if verb.name != "asof":
        columns = ", ".join(f'"{name}"' for name in plan.columns)
    if verb.name == "rolling_mean":
        columns += ", rolling_mean"
    sql = f"SELECT {columns} FROM ({sql}) ORDER BY " + order.replace(",", direction + ",") + direction
    if plan.limit is not None:
        sql += " LIMIT ?"
        values.append(plan.limit)
    return sql, values


def compile_plan(plan: Plan) -> tuple[str, list[Any]]:
    """Return a plain query as one SELECT over the plan's view, and its values."""
    where, values = _where(plan, with_start=True)
    direction = " DESC" if plan.descending else ""
    order = ", ".join(f'"{name}"{direction}' for name in plan.stream.order)
    columns = ", ".join(f'"{name}"' for name in plan.columns)
    sql = f'SELECT {columns} FROM "{plan.stream.name}" WHERE {where} ORDER BY {order}'
    if plan.limit is not None:
        sql += " LIMIT ?"
        values.append(plan.limit)
    return sql, values


def _fill(bars: str, fill: str, period: str) -> str:
    names = ("open", "high", "low", "close")
    shown = {name: f"b.{name}" for name in (*names, "volume", "amount")}
    if fill == "prev":
        shown = {name: f"coalesce(b.{name}, {_PREVIOUS})" for name in names}
        shown |= {"volume": "coalesce(b.volume, 0)", "amount": "coalesce(b.amount, 0)"}
    return _FILLED.format(bars=bars, period=period, **shown)


def _interval(seconds: int) -> str:
    return f"INTERVAL {seconds} SECOND" if seconds < DAY_S else _DAY


def _where(plan: Plan, *, with_start: bool) -> tuple[str, list[Any]]:
    parts, values = ["true"], list[Any]()
    if with_start:
        parts.append(f'"{TIME}" >= ?')
        values.append(moment(plan.start_us))
    parts.append(f'"{TIME}" < ?')
    values.append(moment(plan.stop_us))
    if plan.symbols is not None:
        members = sorted(plan.symbols)
        parts.append(f'"{INSTRUMENT}" IN ({", ".join("?" * len(members))})' if members else "false")
        values += members
    if plan.rest is not None:
        sql, bound = to_sql(plan.rest)
        parts.append(f"({sql})")
        values += bound
    return " AND ".join(parts), values
