"""A trader program on openctp_ctp that does what each line on its input says and prints what it is told.

Lines in: `["order", ref, direction, price, volume]`, `["query", "account"]` and the like, `["end"]`.
Lines out: `[what, facts]`. Run under `qautlra ctp-sim exec`; the front it names is not there.
"""

import json
import os
import sys
import tempfile
import threading
import time

from openctp_ctp import tdapi

USER, PASSWORD, INSTRUMENT, EXCHANGE = sys.argv[1:5]
BROKER = "9999"
ORDER = ("OrderRef", "FrontID", "SessionID", "OrderSysID", "OrderStatus", "VolumeTraded")
TRADE = ("TradeID", "OrderRef", "OrderSysID", "Price", "Volume", "Direction")
STATEMENT = ("TradingDay", "SequenceNo", "Content")
ACCOUNT = ("Balance", "Available", "CurrMargin", "Commission", "PositionProfit")
_lock = threading.Lock()


def say(what: str, facts) -> None:
    with _lock:
        print(json.dumps([what, facts]), flush=True)


def facts(record, names):
    return {
        name: value.strip() if isinstance(value := getattr(record, name), str) else value for name in names
    }


def filled(record, **values):
    for name, value in values.items():
        setattr(record, name, value)
    return record


class Spi(tdapi.CThostFtdcTraderSpi):
    def __init__(self, api) -> None:
        super().__init__()
        self.api = api
        self.rows: list = []

    def OnFrontConnected(self) -> None:
        who = {"BrokerID": BROKER, "UserID": USER, "AppID": "client_program_1", "AuthCode": "0" * 16}
        self.api.ReqAuthenticate(filled(tdapi.CThostFtdcReqAuthenticateField(), **who), 1)

    def OnRspAuthenticate(self, record, info, request, last) -> None:
        who = {"BrokerID": BROKER, "UserID": USER, "Password": PASSWORD}
        self.api.ReqUserLogin(filled(tdapi.CThostFtdcReqUserLoginField(), **who), 2)

    def OnRspUserLogin(self, record, info, request, last) -> None:
        who = {"BrokerID": BROKER, "InvestorID": USER}
        self.api.ReqSettlementInfoConfirm(filled(tdapi.CThostFtdcSettlementInfoConfirmField(), **who), 3)

    def OnRspSettlementInfoConfirm(self, record, info, request, last) -> None:
        say("ready", info.ErrorID)

    def OnRspOrderInsert(self, record, info, request, last) -> None:
        say("refused", info.ErrorID)

    def OnRtnOrder(self, record) -> None:
        say("order", facts(record, ORDER))

    def OnRtnTrade(self, record) -> None:
        say("trade", facts(record, TRADE))

    def _row(self, what: str, record, names, last) -> None:
        if record is not None:
            self.rows.append(facts(record, names))
        if last:
            rows, self.rows = self.rows, []
            say(what, rows)

    def OnRspQryTradingAccount(self, record, info, request, last) -> None:
        self._row("account", record, ACCOUNT, last)

    def OnRspQryTrade(self, record, info, request, last) -> None:
        self._row("trades", record, TRADE, last)

    def OnRspQryOrder(self, record, info, request, last) -> None:
        self._row("orders", record, ORDER, last)

    def OnRspQrySettlementInfo(self, record, info, request, last) -> None:
        if record is not None:
            found = {name: getattr(record, name) for name in STATEMENT}
            self.rows.append(found | {"Content": record.Content.decode("gb18030")})
        self._row("statement", None, STATEMENT, last)


def insert(api, ref: str, direction: str, price: float, volume: int) -> None:
    record = filled(
        tdapi.CThostFtdcInputOrderField(),
        BrokerID=BROKER,
        InvestorID=USER,
        UserID=USER,
        InstrumentID=INSTRUMENT,
        ExchangeID=EXCHANGE,
        OrderRef=ref,
        Direction=direction,
        CombOffsetFlag="0",
        CombHedgeFlag="1",
        LimitPrice=price,
        VolumeTotalOriginal=volume,
        OrderPriceType="2",
        TimeCondition="3",
        VolumeCondition="1",
        MinVolume=1,
        ContingentCondition="1",
        ForceCloseReason="0",
    )
    assert api.ReqOrderInsert(record, 9) == 0


def query(api, what: str) -> None:
    record, ask = {
        "account": (tdapi.CThostFtdcQryTradingAccountField, api.ReqQryTradingAccount),
        "trades": (tdapi.CThostFtdcQryTradeField, api.ReqQryTrade),
        "orders": (tdapi.CThostFtdcQryOrderField, api.ReqQryOrder),
        "statement": (tdapi.CThostFtdcQrySettlementInfoField, api.ReqQrySettlementInfo),
    }[what]
    asked = filled(record(), BrokerID=BROKER, InvestorID=USER)
    for _ in range(20):  # -2 and -3: one query at a time, one a second
        if ask(asked, 20) == 0:
            return
        time.sleep(0.2)


def main() -> None:
    api = tdapi.CThostFtdcTraderApi.CreateFtdcTraderApi(tempfile.mkdtemp() + os.sep)
    spi = Spi(api)
    api.RegisterSpi(spi)
    api.SubscribePrivateTopic(tdapi.THOST_TERT_QUICK)
    api.RegisterFront("tcp://192.0.2.1:10201")
    api.Init()
    for line in sys.stdin:
        word, *rest = json.loads(line)
        if word == "end":
            break
        (insert if word == "order" else query)(api, *rest)
    sys.stdout.flush()
    os._exit(0)


main()
