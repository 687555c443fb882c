"""QAMD's and DIFF's enumerations, spelled as on the wire."""

from enum import StrEnum


class InstrumentType(StrEnum):
    STOCK = "Stock"
    FUTURE = "Future"
    INDEX = "Index"
    FUND = "Fund"
    OTHER = "Other"


class ExchangeId(StrEnum):
    SHFE = "SHFE"
    INE = "INE"
    DCE = "DCE"
    CZCE = "CZCE"
    CFFEX = "CFFEX"
    GFEX = "GFEX"
    SSE = "SSE"
    SZSE = "SZSE"
    BSE = "BSE"
    HKEX = "HKEX"
    IB = "IB"
    NYSE = "NYSE"
    NASDAQ = "NASDAQ"
    AMEX = "AMEX"
    NSE = "NSE"


class MarketDataSource(StrEnum):
    CTP = "CTP"
    QQ = "QQ"
    SINA = "Sina"


class InstrumentClass(StrEnum):
    """DIFF's ins_class."""

    FUTURE = "FUTURE"
    OPTION = "OPTION"
    COMBINE = "COMBINE"
    INDEX = "INDEX"
    STOCK = "STOCK"
    FUND = "FUND"
    BOND = "BOND"
    CONT = "CONT"
    SPOT = "SPOT"


class TradeStatus(StrEnum):
    AUCTIONORDERING = "AUCTIONORDERING"
    CONTINOUS = "CONTINOUS"  # DIFF's own spelling
    NOTRADING = "NOTRADING"


class OptionClass(StrEnum):
    CALL = "CALL"
    PUT = "PUT"


class ExerciseType(StrEnum):
    AMERICAN = "A"
    EUROPEAN = "E"
