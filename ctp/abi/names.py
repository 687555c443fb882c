"""Which functions and records of the CTP interface this project uses: what `measure` looks for."""

CLASSES = {
    "MdApi": """Release Init Join GetTradingDay RegisterFront RegisterNameServer RegisterFensUserInfo
        RegisterSpi SubscribeMarketData UnSubscribeMarketData SubscribeForQuoteRsp
        UnSubscribeForQuoteRsp ReqUserLogin ReqUserLogout ReqQryMulticastInstrument""",
    "MdSpi": """OnFrontConnected OnFrontDisconnected OnHeartBeatWarning OnRspUserLogin OnRspUserLogout
        OnRspError OnRspSubMarketData OnRspUnSubMarketData OnRtnDepthMarketData""",
    "TraderApi": """Release Init Join GetTradingDay GetFrontInfo RegisterFront RegisterNameServer
        RegisterFensUserInfo RegisterSpi SubscribePrivateTopic SubscribePublicTopic
        ReqAuthenticate RegisterUserSystemInfo SubmitUserSystemInfo RegisterWechatUserSystemInfo
        SubmitWechatUserSystemInfo ReqUserLogin ReqUserLogout ReqUserPasswordUpdate ReqOrderInsert
        ReqOrderAction ReqSettlementInfoConfirm ReqQryOrder ReqQryTrade ReqQryInvestorPosition
        ReqQryTradingAccount ReqQryInvestor ReqQryTradingCode ReqQryInstrumentMarginRate
        ReqQryInstrumentCommissionRate ReqQryExchange ReqQryInstrument ReqQryDepthMarketData
        ReqQrySettlementInfo ReqQryInvestorPositionDetail ReqQrySettlementInfoConfirm
        ReqQryBrokerTradingParams""",
    "TraderSpi": """OnFrontConnected OnFrontDisconnected OnHeartBeatWarning OnRspAuthenticate OnRspUserLogin
        OnRspUserLogout OnRspUserPasswordUpdate OnRspOrderInsert OnRspOrderAction
        OnRspSettlementInfoConfirm OnRspQryOrder OnRspQryTrade OnRspQryInvestorPosition
        OnRspQryTradingAccount OnRspQryInvestor OnRspQryTradingCode OnRspQryInstrumentMarginRate
        OnRspQryInstrumentCommissionRate OnRspQryExchange OnRspQryInstrument
        OnRspQryDepthMarketData OnRspQrySettlementInfo OnRspQryInvestorPositionDetail
        OnRspQrySettlementInfoConfirm OnRspQryBrokerTradingParams OnRspError OnRtnOrder OnRtnTrade
        OnErrRtnOrderInsert OnErrRtnOrderAction OnRtnInstrumentStatus OnRtnPrivateSeqNo""",
}
RECORDS = """
ReqUserLogin RspUserLogin UserLogout UserPasswordUpdate RspInfo SpecificInstrument DepthMarketData
ReqAuthenticate RspAuthenticate SettlementInfoConfirm QrySettlementInfo SettlementInfo
QrySettlementInfoConfirm QryInstrument Instrument QryTradingAccount TradingAccount
QryInvestorPosition InvestorPosition QryInvestorPositionDetail InvestorPositionDetail QryOrder Order
QryTrade Trade InputOrder InputOrderAction OrderAction QryDepthMarketData QryInvestor Investor
QryTradingCode TradingCode QryExchange Exchange QryInstrumentMarginRate InstrumentMarginRate
QryInstrumentCommissionRate InstrumentCommissionRate QryBrokerTradingParams BrokerTradingParams
InstrumentStatus
"""
