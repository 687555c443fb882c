// Tencent's quotes (qt.gtimg.cn, contract 4.1) -> snapshots: A shares, funds, bonds, indices, HK and US stocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "market/quote_text.hpp"

namespace qautlra {

// Decodes GB 18030 first, because a `~` can be half of a character, then reads every `v_SYMBOL="..."`.
// Appends a row per line that is whole, of today and has a last price; every other line is refused with a
// sentence. Volumes are shares (lots x 100; an amount that contradicts it decides), prices of zero, limits
// of -1 and empty fields are no value.
//
// Read with care, because nobody has verified it: a letter in field 40 means halted (D: delisted, refused);
// beyond field 38 only mainland lines are read; HK and US volumes are shares; bonds come in lots of 10.
void normalise_tencent(std::string_view body, const QuoteContext& context, std::vector<Snapshot>& rows,
                       QuoteReport& report);

// "sh600000" for "SSE.600000", "hk00700", "usAAPL"; empty for what Tencent does not serve, futures among them.
std::string tencent_symbol(const Name& name);
// "SSE.600000" for "sh600000"; empty when it is none of Tencent's spellings.
std::string tencent_canonical(std::string_view symbol);

}  // namespace qautlra
