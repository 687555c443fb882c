#include "market/ctp_batch.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

#include "base/time_text.hpp"

namespace qautlra {
namespace {

constexpr std::size_t kMaxKnown = 4 * kMaxInstruments;

// One column of the batch, read by row; a missing column answers "no value" everywhere.
class Column {
 public:
  enum class Type : std::uint8_t { kNone, kDouble, kFloat, kInt64, kInt32, kText, kLargeText, kTime32S, kDate32 };

  bool open(const ArrowSchema& schema, const ArrowArray& array, std::string& why) {
    const std::string_view format = schema.format;
    if (array.length > 0 && format != "n" && array.n_buffers < 2) {
      why = std::string("column ") + schema.name + " is malformed";
      return false;
    }
    if (format == "g") type_ = Type::kDouble;
    else if (format == "f") type_ = Type::kFloat;
    else if (format == "l") type_ = Type::kInt64;
    else if (format == "i") type_ = Type::kInt32;
    else if (format == "u") type_ = Type::kText;
    else if (format == "U") type_ = Type::kLargeText;
    else if (format == "tts") type_ = Type::kTime32S;
    else if (format == "tdD") type_ = Type::kDate32;
    else if (format == "n") type_ = Type::kNone;
    else {
      why = std::string("column ") + schema.name + " has a type that is not read here (Arrow format '" +
            schema.format + "'): use double, int64 or string";
      return false;
    }
    array_ = &array;
    valid_ = type_ == Type::kNone || array.null_count == 0
                 ? nullptr
                 : static_cast<const std::uint8_t*>(array.buffers[0]);
    return true;
  }

  double number(std::int64_t row) const {
    std::int64_t i = 0;
    if (!at(row, i)) return kNoPrice;
    switch (type_) {
      case Type::kDouble: return buffer<double>(1)[i];
      case Type::kFloat: return static_cast<double>(buffer<float>(1)[i]);
      case Type::kInt64: return static_cast<double>(buffer<std::int64_t>(1)[i]);
      case Type::kInt32: return static_cast<double>(buffer<std::int32_t>(1)[i]);
      case Type::kText:
      case Type::kLargeText: {
        const std::string_view s = raw_text(i);
        double x = kNoPrice;
        const auto parsed = std::from_chars(s.data(), s.data() + s.size(), x);
        return parsed.ec == std::errc() && parsed.ptr == s.data() + s.size() ? x : kNoPrice;
      }
      default: return kNoPrice;
    }
  }

  std::int64_t whole(std::int64_t row) const {
    std::int64_t i = 0;
    if (!at(row, i)) return kNoCount;
    if (type_ == Type::kInt64) return buffer<std::int64_t>(1)[i];
    if (type_ == Type::kInt32) return buffer<std::int32_t>(1)[i];
    const double x = number(row);
    return std::abs(x) < 9e15 ? static_cast<std::int64_t>(x) : kNoCount;  // false for NaN
  }

  // Cut at the first NUL: CTP's fixed fields may carry garbage behind it.
  std::string_view text(std::int64_t row) const {
    std::int64_t i = 0;
    if ((type_ != Type::kText && type_ != Type::kLargeText) || !at(row, i)) return {};
    const std::string_view s = raw_text(i);
    return s.substr(0, s.find('\0'));
  }

  // YYYYMMDD; 0 when empty or no date. Tables written by others hold dates as text, number or date.
  std::int32_t date(std::int64_t row) const {
    std::int64_t i = 0;
    if (type_ == Type::kText || type_ == Type::kLargeText) return parse_date(text(row));
    if (type_ == Type::kDate32) return at(row, i) ? date_from_days(buffer<std::int32_t>(1)[i]) : 0;
    const std::int64_t x = whole(row);
    return x > 0 && x < 99999999 && is_date(static_cast<std::int32_t>(x)) ? static_cast<std::int32_t>(x) : 0;
  }

  std::int32_t clock(std::int64_t row) const {
    std::int64_t i = 0;
    if (type_ == Type::kTime32S) return at(row, i) ? buffer<std::int32_t>(1)[i] : -1;
    const std::string_view s = text(row);
    return s.size() == 8 ? parse_clock(s) : -1;
  }

  bool is_text() const { return type_ == Type::kText || type_ == Type::kLargeText; }

 private:
  template <class T>
  const T* buffer(int n) const {
    return static_cast<const T*>(array_->buffers[n]);
  }
  bool at(std::int64_t row, std::int64_t& i) const {
    if (type_ == Type::kNone) return false;
    i = row + array_->offset;
    return valid_ == nullptr || ((valid_[i >> 3] >> (i & 7)) & 1) != 0;
  }
  std::string_view raw_text(std::int64_t i) const {
    std::int64_t from, to;
    if (type_ == Type::kText) {
      from = buffer<std::int32_t>(1)[i];
      to = buffer<std::int32_t>(1)[i + 1];
    } else {
      from = buffer<std::int64_t>(1)[i];
      to = buffer<std::int64_t>(1)[i + 1];
    }
    return {buffer<char>(2) + from, static_cast<std::size_t>(to - from)};
  }

  Type type_ = Type::kNone;
  const ArrowArray* array_ = nullptr;
  const std::uint8_t* valid_ = nullptr;
};

struct Columns {
  Column trading_day, action_day, update_time, update_ms, instrument, exchange;
  Column last_price, open, highest, lowest, pre_close, pre_settlement, pre_open_interest, upper_limit, lower_limit;
  Column close, settlement, open_interest, turnover, average, volume;
  Column bid_price[5], ask_price[5], bid_volume[5], ask_volume[5];

  Column* named(std::string_view name) {
    if (name == "TradingDay") return &trading_day;
    if (name == "ActionDay") return &action_day;
    if (name == "UpdateTime") return &update_time;
    if (name == "UpdateMillisec") return &update_ms;
    if (name == "InstrumentID") return &instrument;
    if (name == "ExchangeID") return &exchange;
    if (name == "LastPrice") return &last_price;
    if (name == "OpenPrice") return &open;
    if (name == "HighestPrice") return &highest;
    if (name == "LowestPrice") return &lowest;
    if (name == "PreClosePrice") return &pre_close;
    if (name == "PreSettlementPrice") return &pre_settlement;
    if (name == "PreOpenInterest") return &pre_open_interest;
    if (name == "UpperLimitPrice") return &upper_limit;
    if (name == "LowerLimitPrice") return &lower_limit;
    if (name == "ClosePrice") return &close;
    if (name == "SettlementPrice") return &settlement;
    if (name == "OpenInterest") return &open_interest;
    if (name == "Turnover") return &turnover;
    if (name == "AveragePrice") return &average;
    if (name == "Volume") return &volume;
    if (name.size() == 9 || name.size() == 10) {
      const int level = name.back() - '1';
      const std::string_view stem = name.substr(0, name.size() - 1);
      if (level < 0 || level > 4) return nullptr;
      if (stem == "BidPrice") return &bid_price[level];
      if (stem == "AskPrice") return &ask_price[level];
      if (stem == "BidVolume") return &bid_volume[level];
      if (stem == "AskVolume") return &ask_volume[level];
    }
    return nullptr;
  }
};

void read_row(const Columns& c, std::int64_t row, CtpDepth& d) {
  d.trading_day = c.trading_day.date(row);
  d.action_day = c.action_day.date(row);
  d.update_s = c.update_time.clock(row);
  const std::int64_t ms = c.update_ms.whole(row);
  d.update_ms = ms == kNoCount ? 0 : ms >= 0 && ms <= 999 ? static_cast<std::int32_t>(ms) : -1;
  d.last_price = c.last_price.number(row);
  d.open = c.open.number(row);
  d.highest = c.highest.number(row);
  d.lowest = c.lowest.number(row);
  d.pre_close = c.pre_close.number(row);
  d.pre_settlement = c.pre_settlement.number(row);
  d.pre_open_interest = c.pre_open_interest.number(row);
  d.upper_limit = c.upper_limit.number(row);
  d.lower_limit = c.lower_limit.number(row);
  d.close = c.close.number(row);
  d.settlement = c.settlement.number(row);
  d.open_interest = c.open_interest.number(row);
  d.turnover = c.turnover.number(row);
  d.average = c.average.number(row);
  d.volume = c.volume.whole(row);
  for (int i = 0; i < 5; ++i) {
    d.bid_price[i] = c.bid_price[i].number(row);
    d.ask_price[i] = c.ask_price[i].number(row);
    d.bid_volume[i] = c.bid_volume[i].whole(row);
    d.ask_volume[i] = c.ask_volume[i].whole(row);
  }
}

}  // namespace

std::uint32_t CtpReader::instrument_of(std::string_view exchange, std::string_view code, std::string& why) {
  key_.assign(exchange);
  key_ += '\0';
  key_ += code;
  if (const auto at = known_.find(key_); at != known_.end()) return at->second;
  std::string spelling(exchange);
  if (!spelling.empty()) spelling += '.';
  spelling += code;
  const std::uint32_t id = instruments_.intern(spelling, why);
  if (known_.size() < kMaxKnown) known_.emplace(key_, id);
  return id;
}

std::uint32_t CtpReader::next_ordinal(std::uint32_t instrument, std::int64_t ts_ns) {
  if (instrument >= recent_.size()) recent_.resize(instrument + 64);
  Recent& r = recent_[instrument];
  for (int i = 0; i < kStampsKept; ++i)
    if (r.count[i] != 0 && r.ts_ns[i] == ts_ns) return r.count[i]++;
  r.ts_ns[r.next] = ts_ns;
  r.count[r.next] = 1;
  r.next = (r.next + 1) % kStampsKept;
  return 0;
}

bool CtpReader::repeats_last(const Snapshot& row) {
  if (row.instrument >= last_.size()) last_.resize(row.instrument + 64);
  Snapshot& last = last_[row.instrument];
  if (changed(last, row) == 0) return true;
  last = row;
  return false;
}

std::int64_t CtpReader::read(const ArrowSchema& schema, const ArrowArray& batch, const Options& options,
                             std::vector<Snapshot>& rows, std::string& why) {
  if (std::strcmp(schema.format, "+s") != 0) {
    why = "expected a table of CTP columns";
    return -1;
  }
  if (batch.offset != 0 || schema.n_children != batch.n_children) {
    why = "a sliced struct array is not read here";
    return -1;
  }
  Columns columns;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    Column* column = columns.named(schema.children[i]->name);
    if (column != nullptr && !column->open(*schema.children[i], *batch.children[i], why)) return -1;
  }
  if (!columns.instrument.is_text() && batch.length > 0) {
    why = "column InstrumentID is missing or is not text";
    return -1;
  }
  rows.reserve(rows.size() + static_cast<std::size_t>(batch.length));
  std::int64_t refused = 0;
  const auto refuse = [&](std::int64_t row, const std::string& reason) {
    ++refused;
    if (first_refusal_.empty()) first_refusal_ = "record " + std::to_string(row) + ": " + reason;
  };
  CtpDepth depth;
  std::string reason;
  for (std::int64_t row = 0; row < batch.length; ++row) {
    read_row(columns, row, depth);
    if (!take(columns.exchange.text(row), columns.instrument.text(row), depth, options, options.now_ns, rows, reason)) {
      refuse(row, reason);
    }
  }
  return refused;
}

std::int64_t CtpReader::read(const CtpTick* ticks, std::size_t count, const Options& options,
                             std::vector<Snapshot>& rows) {
  std::int64_t refused = 0;
  std::string reason;
  for (std::size_t i = 0; i < count; ++i) {
    const CtpTick& tick = ticks[i];
    if (take(tick.exchange_text(), tick.code_text(), tick.depth, options, tick.ts_recv_ns, rows, reason)) continue;
    ++refused;
    if (first_refusal_.empty()) first_refusal_ = std::string(tick.code_text()) + ": " + reason;
  }
  return refused;
}

bool CtpReader::take(std::string_view exchange, std::string_view code, const CtpDepth& depth, const Options& options,
                     std::int64_t ts_recv_ns, std::vector<Snapshot>& rows, std::string& why) {
  why.clear();
  const std::uint32_t id = instrument_of(exchange, code, why);
  if (id == kNoInstrument) {
    if (why.empty()) why = "unknown instrument";
    return false;
  }
  Snapshot row;
  switch (normalise(depth, instruments_.at(id), calendar_, options.now_ns, options.trust_action_day, row)) {
    case Normalised::kNoTime: why = "UpdateTime or UpdateMillisec is empty or no time"; return false;
    case Normalised::kNoDate: why = "neither ActionDay nor TradingDay is a date"; return false;
    case Normalised::kSkewed: why = "its time is more than 30 minutes from now"; return false;
    case Normalised::kRow: break;
  }
  if ((!options.trust_action_day || options.source == Source::kCtp) && repeats_last(row)) {
    why = "the front said its last record again";
    return false;
  }
  row.ts_recv_ns = ts_recv_ns;
  row.source = options.source;
  if (options.ordinals) row.ordinal = next_ordinal(id, row.ts_event_ns());
  rows.push_back(row);
  return true;
}

}  // namespace qautlra
