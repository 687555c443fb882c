// Frames between the drop-in CTP library and `qautlra serve`, over one loopback TCP connection per Api object.
//
// A frame is a Head, `text_bytes` of GB 18030 (the ErrorMsg of an answer) and a record of the newest release's
// layout (ctp/abi/facts.toml), all little endian. The first frame of each side is Hello and Welcome; a server
// that does not know `version`, or a frame longer than kBodyMax, ends the connection. Requests are numbered in
// QAUTLRA_CTP_REQUESTS, an answer has its request's number. src/qautlra/wire/ctp_frames.py is the other end.
#pragma once

#include <cstdint>

namespace qautlra::ctp {

inline constexpr char kMagic[4] = {'Q', 'C', 'T', 'P'};
inline constexpr std::uint16_t kWireVersion = 2;
inline constexpr std::uint32_t kBodyMax = 1u << 19;

struct Head {
  std::uint32_t body_bytes;  // text and record
  std::uint16_t kind;
  std::uint16_t flags;
  std::int32_t request;  // nRequestID; in kTickRepeat the count
  std::int32_t error;
  std::uint32_t number;  // of the private flow: the flow's mark above 20 bits of place from 1; else 0
  std::uint16_t text_bytes;
  std::uint16_t mark;  // of the private flow: higher bits of its mark
};
static_assert(sizeof(Head) == 24);

inline constexpr std::uint16_t kLast = 1;    // bIsLast
inline constexpr std::uint16_t kAnswer = 2;  // carries a RspInfo, be it "no error"

// Topic modes are CTP's: 0 RESTART, 1 RESUME, 2 QUICK, 3 NONE, 4 from a number. `private_seen` and
// `private_mark` are Head's of the last frame of the private flow this client has, 0 for none.
struct Hello {
  char magic[4];
  std::uint16_t version;
  std::uint16_t role;  // 1 market, 2 trader
  char release[16];
  std::int32_t private_mode;
  std::uint32_t private_seen;
  std::uint16_t private_mark;
  std::uint16_t reserved;
};
static_assert(sizeof(Hello) == 36);

// Flow control as the front wants it, 0 for none; silence longer than `silence_ms` means the front is lost.
struct Welcome {
  std::uint16_t version;
  std::uint16_t reserved;
  std::int32_t query_interval_ms;  // one query per so long: -3; one at a time: -2
  std::int32_t orders_per_s;       // -3 beyond
  std::int32_t silence_ms;
};
static_assert(sizeof(Welcome) == 16);

//  X(number, Api function, its Spi callback, record asked with, record answered with)
#define QAUTLRA_CTP_REQUESTS(X)                                                                              \
  X(16, ReqAuthenticate, OnRspAuthenticate, ReqAuthenticate, RspAuthenticate)                                \
  X(17, ReqUserLogin, OnRspUserLogin, ReqUserLogin, RspUserLogin)                                            \
  X(18, ReqUserLogout, OnRspUserLogout, UserLogout, UserLogout)                                              \
  X(19, ReqUserPasswordUpdate, OnRspUserPasswordUpdate, UserPasswordUpdate, UserPasswordUpdate)              \
  X(20, ReqSettlementInfoConfirm, OnRspSettlementInfoConfirm, SettlementInfoConfirm, SettlementInfoConfirm)  \
  X(21, ReqOrderInsert, OnRspOrderInsert, InputOrder, InputOrder)                                            \
  X(22, ReqOrderAction, OnRspOrderAction, InputOrderAction, InputOrderAction)                                \
  X(40, ReqQryOrder, OnRspQryOrder, QryOrder, Order)                                                         \
  X(41, ReqQryTrade, OnRspQryTrade, QryTrade, Trade)                                                         \
  X(42, ReqQryInvestorPosition, OnRspQryInvestorPosition, QryInvestorPosition, InvestorPosition)             \
  X(43, ReqQryTradingAccount, OnRspQryTradingAccount, QryTradingAccount, TradingAccount)                     \
  X(44, ReqQryInvestor, OnRspQryInvestor, QryInvestor, Investor)                                             \
  X(45, ReqQryTradingCode, OnRspQryTradingCode, QryTradingCode, TradingCode)                                 \
  X(46, ReqQryInstrumentMarginRate, OnRspQryInstrumentMarginRate, QryInstrumentMarginRate,                   \
    InstrumentMarginRate)                                                                                    \
  X(47, ReqQryInstrumentCommissionRate, OnRspQryInstrumentCommissionRate, QryInstrumentCommissionRate,       \
    InstrumentCommissionRate)                                                                                \
  X(48, ReqQryExchange, OnRspQryExchange, QryExchange, Exchange)                                             \
  X(49, ReqQryInstrument, OnRspQryInstrument, QryInstrument, Instrument)                                     \
  X(50, ReqQryDepthMarketData, OnRspQryDepthMarketData, QryDepthMarketData, DepthMarketData)                 \
  X(51, ReqQrySettlementInfo, OnRspQrySettlementInfo, QrySettlementInfo, SettlementInfo)                     \
  X(52, ReqQryInvestorPositionDetail, OnRspQryInvestorPositionDetail, QryInvestorPositionDetail,             \
    InvestorPositionDetail)                                                                                  \
  X(53, ReqQrySettlementInfoConfirm, OnRspQrySettlementInfoConfirm, QrySettlementInfoConfirm,                \
    SettlementInfoConfirm)                                                                                   \
  X(54, ReqQryBrokerTradingParams, OnRspQryBrokerTradingParams, QryBrokerTradingParams, BrokerTradingParams)

enum Kind : std::uint16_t {
  kHello = 1,
  kWelcome = 2,
  kHeartbeat = 3,    // either side; no record
  kError = 4,        // answer: OnRspError
  kUnknown = 5,      // a request this library has no record for
  kSubscribe = 6,    // record: instrument ids, each ended by NUL; answered one by one with SpecificInstrument
  kUnsubscribe = 7,  // the same
#define QAUTLRA_CTP_KIND(number, function, callback, asked, answered) k##function = number,
  QAUTLRA_CTP_REQUESTS(QAUTLRA_CTP_KIND)
#undef QAUTLRA_CTP_KIND
  kQueriesBegin = 40,
  kQueriesEnd = 80,
  kTick = 100,        // DepthMarketData: OnRtnDepthMarketData
  kTickRepeat = 101,  // the same `request` times over, its Volume counting up: what benchmarks send
  kRtnOrder = 102,    // Order
  kRtnTrade = 103,    // Trade
  kErrInsert = 104,   // InputOrder with a RspInfo: OnErrRtnOrderInsert
  kErrAction = 105,   // OrderAction with a RspInfo: OnErrRtnOrderAction
  kInstrumentStatus = 106,
};

}  // namespace qautlra::ctp
