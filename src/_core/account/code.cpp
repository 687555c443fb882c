#include "account/code.hpp"

namespace qautlra::account {

namespace {
constexpr CodeInfo kCodes[] = {
    {Code::kOk, 417, 0, "OK", "下单成功"},
    {Code::kFunds, 413, 31, "NOTIONAL_EXCEEDS_FREE_BALANCE", "开仓保证金不足"},
    {Code::kPositionLimit, 0, 106, "POSITION_LIMIT_EXCEEDED", "持仓超过限额"},
    {Code::kVolume, 411, 15, "QUANTITY_EXCEEDS_MAXIMUM", "下单手数不合法"},
    {Code::kRiskRatio, 0, 31, "RISK_RATIO_EXCEEDED", "账户风险度过高，禁止开仓"},
    {Code::kSelfTrade, 0, 15, "SELF_TRADE", "可能自成交，拒绝下单"},
    {Code::kNoAccount, 408, 3, "ACCOUNT_NOT_FOUND", "账户不存在"},
    {Code::kNoInstrument, 409, 16, "INSTRUMENT_NOT_FOUND", "合约不存在"},
    {Code::kBadParameters, 0, 15, "INVALID_PARAMETERS", "报单字段有误"},
    {Code::kConcentration, 0, 106, "CONCENTRATION_EXCEEDED", "单一合约占用保证金超过权益限制"},
    {Code::kNotional, 0, 15, "NOTIONAL_EXCEEDS_MAX_PER_ORDER", "单笔报单金额超过限制"},
    {Code::kAccountFrozen, 0, 17, "ACCOUNT_FROZEN", "账户已冻结，禁止交易"},
    {Code::kWithdrawQuota, 422, 31, "WITHDRAW_EXCEEDS_QUOTA", "转账失败，可取资金不足"},
    {Code::kBadAmount, 422, 15, "INVALID_AMOUNT", "转账失败，金额不合法"},
    {Code::kOrdersAlive, 0, 0, "ORDERS_ALIVE", "仍有未了结的委托单"},
    {Code::kNoOrder, 420, 25, "ORDER_NOT_FOUND", "要撤销的单不存在"},
    {Code::kDuplicate, 407, 22, "DUPLICATE_ORDER_ID", "单号重复"},
    {Code::kBadPrice, 0, 15, "INVALID_PRICE", "下单价格不合法"},
    {Code::kBadTick, 412, 15, "PRICE_NOT_ON_TICK", "下单价格不是价格单位的整倍数"},
    {Code::kCloseExceeds, 416, 30, "CLOSE_EXCEEDS_POSITION", "平仓手数超过持仓量"},
    {Code::kCloseTodayExceeds, 414, 50, "CLOSE_EXCEEDS_TODAY", "平今手数超过今仓持仓量"},
    {Code::kCloseYesterdayExceeds, 415, 51, "CLOSE_EXCEEDS_YESTERDAY", "平昨手数超过昨仓持仓量"},
    {Code::kActiveOrders, 0, 116, "ACTIVE_ORDERS_EXCEEDED", "活动委托数量超过上限"},
    {Code::kRepeated, 0, 116, "REPEATED_ORDER", "重复委托次数超过上限"},
    {Code::kDailyOrders, 0, 116, "DAILY_ORDERS_EXCEEDED", "当日委托次数超过上限"},
    {Code::kDailyCancels, 0, 116, "DAILY_CANCELS_EXCEEDED", "当日撤单次数超过上限"},
    {Code::kDailyTrades, 0, 116, "DAILY_TRADES_EXCEEDED", "当日成交次数超过上限"},
    {Code::kReduceOnly, 0, 29, "REDUCE_ONLY", "只减仓委托不能开仓"},
    {Code::kExpired, 0, 15, "GTD_IN_PAST", "委托有效期已过"},
    {Code::kFatFinger, 0, 15, "PRICE_TOO_FAR_FROM_LAST", "委托价格偏离最新价过大"},
    {Code::kStaleFeed, 0, 17, "STALE_FEED", "行情中断，禁止市价委托"},
    {Code::kReducing, 0, 29, "TRADING_STATE_REDUCING", "当前只允许平仓"},
    {Code::kHalted, 0, 17, "TRADING_STATE_HALTED", "交易已暂停"},
    {Code::kSuspended, 0, 17, "INSTRUMENT_SUSPENDED", "合约当前不可交易"},
    {Code::kAboveLimit, 404, 15, "PRICE_ABOVE_UPPER_LIMIT", "下单价格超过涨停价"},
    {Code::kBelowLimit, 405, 15, "PRICE_BELOW_LOWER_LIMIT", "下单价格低于跌停价"},
    {Code::kNotTrading, 0, 17, "NOT_TRADING", "当前时间不允许下单"},
    {Code::kTooLarge, 0, 15, "VALUE_TOO_LARGE", "金额超出系统上限"},
    {Code::kRate, 0, 116, "MAX_ORDER_SUBMIT_RATE", "报单过于频繁"},
};
}  // namespace

const CodeInfo& info(Code code) {
  for (const CodeInfo& entry : kCodes)
    if (entry.code == code) return entry;
  return kCodes[8];
}

const CodeInfo* all_codes(std::size_t& count) {
  count = sizeof(kCodes) / sizeof(kCodes[0]);
  return kCodes;
}

}  // namespace qautlra::account
