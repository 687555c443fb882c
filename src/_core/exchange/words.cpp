#include "exchange/words.hpp"

#include <algorithm>
#include <vector>

namespace qautlra::exchange {

namespace {

// What account and risk do not say.
constexpr CodeWords kMore[] = {
    {4001, 0, 80, "ORDER_TYPE_UNSUPPORTED", "交易所不支持该类型的委托"},
    {4005, 0, 17, "NO_CANCEL_NOW", "当前时间不允许撤单"},
    {4006, 0, 17, "AUCTION_ONLY", "该委托仅在集合竞价时段有效"},
    {4007, 0, 17, "NOT_IN_AUCTION", "集合竞价时段不接受该类型的委托"},
    {kFull, 0, 116, "CAPACITY_EXCEEDED", "系统当日委托数量已达上限"},
    {kNotJournaled, 0, 17, "NOT_RECORDED", "系统暂时无法记录委托，未受理"},
    {kDiverged, 0, 0, "LOG_DIVERGED", "日志与状态不符"},
};

std::vector<CodeWords> make_table() {
  std::vector<CodeWords> table(std::begin(kMore), std::end(kMore));
  std::size_t count = 0;
  const account::CodeInfo* const given = account::all_codes(count);
  for (std::size_t i = 0; i < count; ++i)
    table.push_back({code_of(given[i].code), given[i].diff, given[i].ctp, given[i].name, given[i].text});
  std::ranges::sort(table, {}, &CodeWords::code);
  return table;
}

const std::vector<CodeWords>& table() {
  static const std::vector<CodeWords> made = make_table();
  return made;
}

}  // namespace

std::span<const CodeWords> all_words() { return table(); }

const CodeWords& words_of(Code code) {
  const auto found = std::ranges::lower_bound(table(), code, {}, &CodeWords::code);
  if (found != table().end() && found->code == code) return *found;
  return words_of(code_of(account::Code::kBadParameters));
}

std::string_view message_of(const OrderRecord& r) {
  using book::Reason;
  if (r.code != kOk) return words_of(r.code).text;
  if (r.status == Status::kAlive) return r.left == r.volume ? "报单成功" : "部分成交";
  if (r.left == 0) {
    switch (r.reason) {
      case Reason::kDelivered: return "到期交割：按结算价了结";
      case Reason::kExercised: return "到期行权";
      case Reason::kLapsed: return "到期作废：虚值期权未行权";
      default: return "全部成交";
    }
  }
  switch (r.reason) {
    case Reason::kRest:
      return r.price_type == book::PriceType::kLimit ? "已撤单：即时成交剩余撤销" : "已撤单：市价指令剩余撤销";
    case Reason::kAllOrNone: return "已撤单：不能全部成交";
    case Reason::kMinimum: return "已撤单：不能达到最小成交量";
    case Reason::kSelfTrade: return "已撤单：避免自成交";
    case Reason::kAuctionEnd: return "已撤单：集合竞价结束";
    case Reason::kSectionEnd: return "已撤单：本节交易结束";
    case Reason::kDayEnd: return "交易日结束，自动撤销当日有效的委托单（GFD）";
    case Reason::kBand: return "已撤单：价格超出涨跌停板";
    case Reason::kForced: return "已撤单：系统强制撤单";
    case Reason::kUser:
    case Reason::kDelivered:
    case Reason::kExercised:
    case Reason::kLapsed: break;
  }
  return "已撤单";
}

}  // namespace qautlra::exchange
