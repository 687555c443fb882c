"""A CTP program as people write them, on ctp-python: logs in, buys one lot, closes it, says what it saw.

Run in an environment that has ctp-python, under `qautlra ctp-sim exec`; the front it names is not there.
"""

import json
import os
import queue
import sys
import tempfile
import time

import ctp

USER, PASSWORD, INSTRUMENT, EXCHANGE = sys.argv[1:5]
BROKER = "9999"


class Spi(ctp.CThostFtdcTraderSpi):
    def __init__(self) -> None:
        super().__init__()
        self.seen: queue.Queue = queue.Queue()

    def OnFrontConnected(self) -> None:
        self.seen.put(("connected", 0, None))

    def OnRspAuthenticate(self, record, info, request, last) -> None:
        self.seen.put(("authenticated", info.ErrorID, None))

    def OnRspUserLogin(self, record, info, request, last) -> None:
        self.seen.put(("login", info.ErrorID, record.SessionID))

    def OnRspSettlementInfoConfirm(self, record, info, request, last) -> None:
        self.seen.put(("confirmed", info.ErrorID, None))

    def OnRspQryDepthMarketData(self, record, info, request, last) -> None:
        self.seen.put(("depth", 0, (record.BidPrice1, record.AskPrice1)))

    def OnRtnOrder(self, order) -> None:
        self.seen.put(("order", 0, (order.OrderRef, order.OrderStatus)))

    def OnRtnTrade(self, trade) -> None:
        self.seen.put(("trade", 0, (trade.OrderRef.strip(), trade.Price, trade.Volume, trade.OffsetFlag)))

    def OnRspOrderInsert(self, record, info, request, last) -> None:
        self.seen.put(("refused", info.ErrorID, info.ErrorMsg))

    def wait(self, kind: str):
        until = time.monotonic() + 15
        while (left := until - time.monotonic()) > 0:
            try:
                got = self.seen.get(timeout=left)
            except queue.Empty:
                break
            if got[0] == "refused" or got[1]:
                raise SystemExit(f"refused: {got}")
            if got[0] == kind:
                return got[2]
        raise SystemExit(f"no {kind}")


def filled(record, **values):
    for name, value in values.items():
        setattr(record, name, value)
    return record


def order(api, ref: str, direction: str, offset: str, price: float) -> None:
    record = filled(
        ctp.CThostFtdcInputOrderField(),
        BrokerID=BROKER,
        InvestorID=USER,
        UserID=USER,
        InstrumentID=INSTRUMENT,
        ExchangeID=EXCHANGE,
        OrderRef=ref,
        Direction=direction,
        CombOffsetFlag=offset,
        CombHedgeFlag="1",
        LimitPrice=price,
        VolumeTotalOriginal=1,
        OrderPriceType="2",
        TimeCondition="3",
        VolumeCondition="1",
        MinVolume=1,
        ContingentCondition="1",
        ForceCloseReason="0",
    )
    assert api.ReqOrderInsert(record, 9) == 0


def main() -> None:
    api = ctp.CThostFtdcTraderApi.CreateFtdcTraderApi(tempfile.mkdtemp() + os.sep)
    spi = Spi()
    api.RegisterSpi(spi)
    api.SubscribePrivateTopic(ctp.THOST_TERT_QUICK)
    api.RegisterFront("tcp://192.0.2.1:10201")
    api.Init()
    spi.wait("connected")
    who = {"BrokerID": BROKER, "UserID": USER}
    code = {"AppID": "client_program_1", "AuthCode": "0000000000000000"}
    api.ReqAuthenticate(filled(ctp.CThostFtdcReqAuthenticateField(), **who, **code), 1)
    spi.wait("authenticated")
    api.ReqUserLogin(filled(ctp.CThostFtdcReqUserLoginField(), **who, Password=PASSWORD), 2)
    session = spi.wait("login")
    confirm = filled(ctp.CThostFtdcSettlementInfoConfirmField(), BrokerID=BROKER, InvestorID=USER)
    api.ReqSettlementInfoConfirm(confirm, 3)
    spi.wait("confirmed")
    api.ReqQryDepthMarketData(filled(ctp.CThostFtdcQryDepthMarketDataField(), InstrumentID=INSTRUMENT), 4)
    bid, ask = spi.wait("depth")
    order(api, "1", "0", "0", ask + 5)
    opened = spi.wait("trade")
    order(api, "2", "1", "3" if EXCHANGE in ("SHFE", "INE") else "1", bid - 5)
    closed = spi.wait("trade")
    version = ctp.CThostFtdcTraderApi.GetApiVersion()
    print(
        json.dumps({"version": version, "session": session, "opened": opened, "closed": closed}), flush=True
    )
    os._exit(0)


main()
