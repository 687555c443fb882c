"""Every spelling of an instrument the market knows, and what names none."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qautlra._core.market import Instruments, is_safe_id
from qautlra.model.calendar import load_calendar
from qautlra.model.naming import instrument_name

CALENDAR = load_calendar()
NOW = Instruments(CALENDAR, 20251121)

SPELLINGS = {
    # bare CTP codes, by the product table
    "au2512": "SHFE.au2512",
    "IF2506": "CFFEX.IF2506",
    "SR601": "CZCE.SR601",
    "sc2601": "INE.sc2601",
    "ec2602": "INE.ec2602",
    "lc2601": "GFEX.lc2601",
    "ps2606": "GFEX.ps2606",
    "br2601": "SHFE.br2601",
    # case is the exchange's, whatever was typed
    "AU2512": "SHFE.au2512",
    "if2506": "CFFEX.IF2506",
    "shfe.AU2512": "SHFE.au2512",
    "CZCE.sr601": "CZCE.SR601",
    # the exchange in front or behind
    "SHFE.au2512": "SHFE.au2512",
    "SHFE_au2512": "SHFE.au2512",
    "SSE_688286": "SSE.688286",
    "SSE.600000": "SSE.600000",
    "HKEX.00700": "HKEX.00700",
    "HKEX.700": "HKEX.00700",
    "000001.XSHE": "SZSE.000001",
    "000001.XSHG": "SSE.000001",
    "600000.XSHG": "SSE.600000",
    "IF2301.CFFEX": "CFFEX.IF2301",
    "AU2512.XSGE": "SHFE.au2512",
    "600000.SH": "SSE.600000",
    # Tencent and Sina
    "sh600519": "SSE.600519",
    "sz000001": "SZSE.000001",
    "bj899050": "BSE.899050",
    "hk00700": "HKEX.00700",
    "usAAPL": "US.AAPL",
    "nf_AU2512": "SHFE.au2512",
    "nf_IF2506": "CFFEX.IF2506",
    "nf_AU0": "KQ.m@SHFE.au",
    # bare numbers
    "600519": "SSE.600519",
    "000001": "SZSE.000001",
    "510300": "SSE.510300",
    "900901": "SSE.900901",
    "300750": "SZSE.300750",
    "430047": "BSE.430047",
    "835185": "BSE.835185",
    "920001": "BSE.920001",
    "00700": "HKEX.00700",
    "10002513": "SSE.10002513",
    # DIFF's own
    "KQ.m@CFFEX.IF": "KQ.m@CFFEX.IF",
    "KQ.i@SHFE.bu": "KQ.i@SHFE.bu",
    "KQD.m@CBOT.ZS": "KQD.m@CBOT.ZS",
    "SSWE.CUH": "SSWE.CUH",
    "DCE.SP a1709&a1801": "DCE.SP a1709&a1801",
    "CZCE.SPD SR901&SR903": "CZCE.SPD SR901&SR903",
    "SP a2609&a2701": "DCE.SP a2609&a2701",
    # options
    "DCE.m1807-C-2450": "DCE.m1807-C-2450",
    "CZCE.CF003C11000": "CZCE.CF003C11000",
    "SHFE.au2004C308": "SHFE.au2004C308",
    "CFFEX.IO2002-C-3550": "CFFEX.IO2002-C-3550",
    "SSE.10002513": "SSE.10002513",
    "m1807c2450": "DCE.m1807-C-2450",
    "m2509-MS-C-2800": "DCE.m2509-MS-C-2800",
    # DCE's futures on a month's average price
    "l2602F": "DCE.l2602F",
    # a product not in the table is still a contract of its exchange
    "SHFE.zz2512": "SHFE.zz2512",
}


@pytest.mark.parametrize(("spelling", "symbol"), SPELLINGS.items())
def test_spelling(spelling: str, symbol: str) -> None:
    assert NOW.canonical(spelling) == symbol
    assert NOW.symbol(NOW.intern(spelling)) == symbol


@pytest.mark.parametrize("symbol", sorted(set(SPELLINGS.values())))
def test_a_symbol_names_itself(symbol: str) -> None:
    assert NOW.canonical(symbol) == symbol


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 65, "longer than 64"),
        ("a" * 100_000, "longer than 64"),
        ("m2501c" + "1" * 58, "longer than 64"),  # its symbol would be
        ("au2512\0", "character other than"),
        ('au2512"', "character other than"),
        ("au2512\\", "character other than"),
        ("au'2512", "character other than"),
        ("au2512\n", "character other than"),
        ("au2512,rb2512", "character other than"),
        ("黄金2512", "character other than"),
        ("au2513", "no month 13"),
        ("au2500", "no month 00"),
        ("au601", "four digits"),
        ("zz2512", "no product 'zz'"),
        ("FOO.au2512", "no exchange 'FOO'"),
        ("SHFE.", "no code"),
        (".au2512", "no exchange ''"),
        ("SHFE.600000", "product letters"),
        ("SSE.au2512", "digits only"),
        ("SSE.60000", "six digits"),
        ("IO2512", "options only"),
        ("m2501-C-", "not an option"),
        ("m2501-X-2800", "not an option"),
        ("SP a2601", "combination"),
        ("DCE.SP a2601&a2605&a2609", "combination"),
        ("KQ.x@SHFE.au", "not of the form"),
        ("KQ.m@SHFE", "not of the form"),
        ("KQ.m@FOO.au", "no futures exchange 'FOO'"),
        ("au", "write EXCHANGE.code"),
        ("1234", "names no exchange"),
    ],
)
def test_what_names_nothing_says_why(spelling: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        NOW.intern(spelling)
    assert NOW.canonical(spelling) is None
    assert NOW.find(spelling) == -1


@pytest.mark.parametrize(
    ("today", "spelling", "symbol", "year"),
    [
        (20251121, "SR601", "CZCE.SR601", 2026),
        (20251121, "SR2601", "CZCE.SR601", 2026),
        (20251121, "SR411", "CZCE.SR411", 2024),  # last year is still in sight
        (20251121, "SR311", "CZCE.SR311", 2033),  # the year before is not: eight years ahead
        (20251121, "SR1601", "CZCE.SR1601", 2016),  # another decade keeps four digits
        (20151121, "SR601", "CZCE.SR601", 2016),
        (20191231, "CF003C11000", "CZCE.CF003C11000", 2020),
    ],
)
def test_czce_decades(today: int, spelling: str, symbol: str, year: int) -> None:
    table = Instruments(CALENDAR, today)
    info = table.info(table.intern(spelling))
    assert (info["symbol"], info["delivery_year"]) == (symbol, year)


def test_two_spellings_of_one_instrument_share_a_number() -> None:
    table = Instruments(CALENDAR, 20251121)
    numbers = {
        table.intern(s) for s in ("SR601", "SR2601", "CZCE.SR601", "CZCE_SR601", "SR601.XZCE", "nf_SR2601")
    }
    assert numbers == {0}
    assert len(table) == 1
    assert table.find("CZCE.sr2601") == 0


def test_facts_of_instruments() -> None:
    future = NOW.info(NOW.intern("au2512"))
    assert future["price_tick"] == 0.02
    assert future["price_decs"] == 2
    assert future["volume_multiple"] == 1000
    assert (future["kind"], future["delivery_year"], future["delivery_month"]) == ("FUTURE", 2025, 12)
    assert future["fee"] == {"open": 10.0, "close": 10.0, "close_today": 0.0, "by": "lot"}
    option = NOW.info(NOW.intern("m1807-P-2450"))
    assert (option["kind"], option["option_class"], option["strike_price"]) == ("OPTION", "PUT", 2450)
    assert option["underlying_symbol"] == "DCE.m1807"
    assert option["price_tick"] == 0.5
    index_option = NOW.info(NOW.intern("CFFEX.IO2002-C-3550"))
    assert index_option["underlying_symbol"] == "SSE.000300"
    spread = NOW.info(NOW.intern("DCE.SP a1709&a1801"))
    assert (spread["kind"], spread["leg1_symbol"], spread["leg2_symbol"]) == (
        "COMBINE",
        "DCE.a1709",
        "DCE.a1801",
    )
    assert NOW.info(NOW.intern("CFFEX.TS2603"))["price_decs"] == 3
    kinds = [
        NOW.info(NOW.intern(s))["kind"] for s in ("600519", "SSE.000001", "510300", "sh110059", "sz399001")
    ]
    assert kinds == ["STOCK", "INDEX", "FUND", "BOND", "INDEX"]


def test_numbers_outside_the_table_are_refused() -> None:
    with pytest.raises(IndexError):
        NOW.symbol(65_535)
    with pytest.raises(IndexError):
        NOW.info(4_000_000_000)


names = st.one_of(
    st.text(max_size=70),
    st.text(alphabet="aAuUIFSRsh0123456789._@&- CPKQm", max_size=24),
    st.from_regex(
        r"(SHFE|CZCE|DCE|CFFEX|INE|GFEX)[._][a-zA-Z]{1,2}[0-9]{3,4}([CP]|-[CP]-)?[0-9]{0,5}", fullmatch=True
    ),
)


@given(names)
@example("KQ.m@SHFE.au")
@example("SHFE_IC0701")
def test_naming_is_idempotent_and_safe(spelling: str) -> None:
    symbol = NOW.canonical(spelling)
    if symbol is not None:
        assert is_safe_id(symbol)
        assert NOW.canonical(symbol) == symbol


@given(st.text(max_size=70))
def test_safe_ids_need_no_json_escape(spelling: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@&- ")
    assert is_safe_id(spelling) == (1 <= len(spelling) <= 64 and set(spelling) <= allowed)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("SHFE.rb2701", "螺纹钢2701"),
        ("CZCE.MA701", "甲醇2701"),
        ("DCE.m2701-C-3000", "豆粕2701购3000"),
        ("CZCE.MA701P2500", "甲醇2701沽2500"),
        ("KQ.m@SHFE.rb", "螺纹钢"),
        ("SSE.600000", "600000"),
    ],
)
def test_what_people_call_it(symbol: str, name: str) -> None:
    instruments = Instruments(CALENDAR, 20261121)
    assert instrument_name(instruments.info(instruments.intern(symbol))) == name
