// Sina's quotes (hq.sinajs.cn, contract 4.2) -> snapshots: A shares, indices, futures, HK and US stocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "market/quote_text.hpp"

namespace qautlra {

// Decodes GB 18030, then reads every `var hq_str_SYMBOL="..."`. Appends a row per line that is whole, of the
// present trading day and has a last price; every other line is refused with a sentence. Prices of zero,
// `--` and empty fields are no value.
//
// Units: stocks in shares, indices in shares (an index's amount tells lots from shares), futures in lots.
// `nf_` lines are told apart by layout: a number in field 0 means CFFEX. Its amount lacks the multiplier in
// newer lines and has it in older ones: the one that agrees with the prices is taken, else none. Commodity
// lines have no amount: average x volume x multiplier where the product is known.
//
// Read with care, because nobody has verified it: of a commodity's line the date is only held against
// staleness and its deeper levels (28..43) are not read; statuses but 00, 03 and -3 mean halted; HK lines
// need field 17 as date and 18 as time; of US lines fields 1, 3, 5..7 and 10 are read.
void normalise_sina(std::string_view body, const QuoteContext& context, std::vector<Snapshot>& rows,
                    QuoteReport& report);

// "nf_AU2512" for "SHFE.au2512" (CZCE with four digits), "nf_RB0" for "KQ.m@SHFE.rb", "sh600000",
// "rt_hk00700", "gb_aapl"; empty for what Sina does not serve here (options, combinations).
std::string sina_symbol(const Name& name, const Calendar& calendar);
// A spelling resolve() takes, for one of Sina's ("CFF_RE_IF1603" too); empty when it is none of them.
std::string sina_canonical(std::string_view symbol);

}  // namespace qautlra
