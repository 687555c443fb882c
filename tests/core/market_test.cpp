// Decimal text against an exact reader, names out of random bytes, encoders into a growing buffer.
#include <charconv>
#include <cmath>
#include <random>
#include <string>

#include "base/buffer.hpp"
#include "base/decimal.hpp"
#include "base/time_text.hpp"
#include "expect.hpp"
#include "market/encode.hpp"
#include "market/instrument.hpp"

using namespace qautlra;

namespace {

double read_back(double x, std::string* text = nullptr) {
  char out[kMaxNumberText];
  char* end = write_price(out, x);
  double back = 0;
  const auto parsed = std::from_chars(out, end, back);
  EXPECT(parsed.ec == std::errc() && parsed.ptr == end);
  if (text != nullptr) text->assign(out, end);
  return back;
}

TEST_CASE(every_price_of_every_tick_reads_back) {
  for (const double tick : {0.0001, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0})
    for (int k = 0; k < 200'000; k += 7) {
      const double x = k * tick;
      EXPECT(std::bit_cast<std::uint64_t>(read_back(x)) == std::bit_cast<std::uint64_t>(x));
    }
}

TEST_CASE(random_doubles_read_back) {
  std::mt19937_64 random(20250603);
  for (int i = 0; i < 200'000; ++i) {
    const double x = std::bit_cast<double>(random());
    if (std::isfinite(x) && x != 0) EXPECT(read_back(x) == x);
    const double money = static_cast<double>(random() % 100'000'000'000'000) / 1e4;
    EXPECT(read_back(money) == money);
  }
}

TEST_CASE(decimals_are_short) {
  std::string text;
  read_back(5230.0, &text);
  EXPECT(text == "5230.0");
  read_back(1569176.2312, &text);
  EXPECT(text == "1569176.2312");
  read_back(132807388020.0, &text);
  EXPECT(text == "132807388020.0");
  read_back(-0.005, &text);
  EXPECT(text == "-0.005");
}

// The text a price had before its digits were looked up: the shortest of up to four places, one of a whole value.
std::string plain_price(std::uint64_t ten_thousandths) {
  std::string text = std::to_string(ten_thousandths / 10'000) + "." + std::to_string(10'000 + ten_thousandths % 10'000).substr(1);
  while (text.back() == '0' && text[text.size() - 2] != '.') text.pop_back();
  return text;
}

TEST_CASE(prices_of_every_length_have_their_shortest_text) {
  std::string text;
  std::mt19937_64 random(20261129);
  for (int digits = 0; digits < 16; ++digits)
    for (int i = 0; i < 20'000; ++i) {
      const auto bound = static_cast<std::uint64_t>(std::pow(10.0, digits));
      const std::uint64_t r = digits < 4 ? static_cast<std::uint64_t>(i) : bound + random() % (8 * bound);
      if (r >= 4'500'000'000'000'000) continue;  // from 2^52 on adding a half rounds: other ways are taken
      read_back(static_cast<double>(r) / 1e4, &text);
      EXPECT(text == plain_price(r));
    }
}

TEST_CASE(integers_of_every_length) {
  char out[kMaxNumberText];
  std::mt19937_64 random(4);
  for (int i = 0; i < 300'000; ++i) {
    const std::uint64_t x = random() >> random() % 64;
    EXPECT(std::string(out, write_uint(out, x)) == std::to_string(x));
  }
}

TEST_CASE(integers_at_their_ends) {
  char out[kMaxNumberText];
  for (const std::int64_t x : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN, std::int64_t{99},
                               std::int64_t{100}, std::int64_t{999'999'999'999'999'999}}) {
    const std::string text(out, write_int(out, x));
    EXPECT(text == std::to_string(x));
  }
}

Calendar small_market() {
  Calendar calendar;
  Sections night{"night", {{21 * 3600, 23 * 3600}}, {{9 * 3600, 15 * 3600}}, 300};
  const std::int32_t sections = calendar.add_sections(night);
  Exchange shfe;
  shfe.id = "SHFE";
  shfe.kind = "futures";
  shfe.case_rule = "lower";
  calendar.add_exchange(shfe);
  Product au;
  au.exchange = "SHFE";
  au.code = "au";
  au.price_tick = 0.02;
  au.volume_multiple = 1000;
  au.sections_id = sections;
  calendar.add_product(au);
  calendar.finish();
  return calendar;
}

TEST_CASE(random_bytes_name_nothing_unsafe) {
  const Calendar calendar = small_market();
  std::mt19937 random(7);
  const std::string_view pieces[] = {"SHFE", "au", "AU", "2512", "601", ".",  "_", "C308", "-P-", "KQ.m@", "SP ",
                                     "&",    "sh", "nf_", "6",   " ",   "\"", "\n", std::string_view("\0", 1)};
  Name name;
  std::string why, spelling;
  int named = 0;
  for (int i = 0; i < 300'000; ++i) {
    spelling.clear();
    for (std::size_t n = random() % 6; n > 0; --n) spelling += pieces[random() % std::size(pieces)];
    if (!resolve(spelling, calendar, 20251121, name, why)) continue;
    ++named;
    EXPECT(is_safe_spelling(name.symbol));
    const std::string symbol = name.symbol;
    EXPECT(resolve(symbol, calendar, 20251121, name, why) && name.symbol == symbol);
  }
  EXPECT(named > 0);
}

TEST_CASE(the_table_is_bounded_and_its_addresses_stay) {
  const Calendar calendar = small_market();
  InstrumentTable table(calendar, 20251121);
  std::string why;
  const std::uint32_t first = table.intern("au2512", why);
  const Instrument* at = &table.at(first);
  for (std::uint32_t n = 1; n < kMaxInstruments; ++n)
    EXPECT(table.intern("SHFE.au2512C" + std::to_string(n), why) == n);
  EXPECT(table.size() == kMaxInstruments);
  EXPECT(table.intern("SHFE.au2601", why) == kNoInstrument);
  EXPECT(why.find("full") != std::string::npos);
  EXPECT(table.intern("SHFE_au2512", why) == first && &table.at(first) == at);
}

TEST_CASE(encoding_grows_its_buffer) {
  Buffer out(16);
  Snapshot row;
  row.trading_day = 20251124;
  row.set_count(kDatetime, 1763730000500000000);
  for (int f = 1; f < kFieldCount; ++f) {
    if (is_count(f)) row.set_count(f, INT64_MIN + 1);
    else row.set_price(f, -1.7976931348623157e308);
  }
  for (int i = 0; i < 100; ++i)
    for (const Style style : {Style::kDiff, Style::kLegacyRtn, Style::kLegacyMarketData, Style::kCore})
      encode_fields(style, row, kAllFields, true, "SHFE.au2512", out);
  EXPECT(out.size() > 400 * 57 * 20);
  EXPECT(out.view().back() == '}');
}

}  // namespace

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
