// Any spelling of an instrument -> "EXCHANGE.code". Pure: the product table decides bare codes.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/time_text.hpp"
#include "market/instrument.hpp"

namespace qautlra {
namespace {

struct Alias {
  std::string_view spelling, exchange;
};
// Exchange ids and the suffixes of JoinQuant (XSGE), Wind (SHF), Yahoo (SS) and brokers (SH).
constexpr Alias kExchangeAliases[] = {
    {"XSGE", "SHFE"},   {"SHF", "SHFE"}, {"XDCE", "DCE"},  {"XZCE", "CZCE"}, {"CZC", "CZCE"},
    {"ZCE", "CZCE"},    {"CCFX", "CFFEX"}, {"CFE", "CFFEX"}, {"XINE", "INE"}, {"XGFE", "GFEX"},
    {"GFE", "GFEX"},    {"XSHG", "SSE"}, {"SH", "SSE"},    {"SS", "SSE"},    {"XSHE", "SZSE"},
    {"SZ", "SZSE"},     {"XBSE", "BSE"}, {"BJ", "BSE"},    {"XHKG", "HKEX"}, {"HK", "HKEX"},
};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_alpha(char c) { return is_lower(c) || is_upper(c); }
constexpr char lower(char c) { return is_upper(c) ? static_cast<char>(c + 32) : c; }
constexpr char upper(char c) { return is_lower(c) ? static_cast<char>(c - 32) : c; }

bool all_digits(std::string_view s) { return !s.empty() && std::all_of(s.begin(), s.end(), is_digit); }
bool all_alpha(std::string_view s) { return !s.empty() && std::all_of(s.begin(), s.end(), is_alpha); }
bool all_upper(std::string_view s) { return !s.empty() && std::all_of(s.begin(), s.end(), is_upper); }

std::string lowered(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}
std::string uppered(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), upper);
  return out;
}

bool starts_with_folded(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                    [](char p, char t) { return p == lower(t); });
}

// Owner: one resolve() call.
class Namer {
 public:
  Namer(const Calendar& calendar, std::int32_t reference_day, Name& out, std::string& why)
      : calendar_(calendar), reference_day_(reference_day), out_(out), why_(why) {}

  bool any(std::string_view text) {
    if (text.starts_with("KQ.") || text.starts_with("KQD.")) return special(text);
    if (starts_with_folded(text, "nf_")) return bare(text.substr(3));
    if (starts_with_folded(text, "rt_hk")) return any(text.substr(3));
    if (starts_with_folded(text, "gb_")) return in_exchange("US", uppered(text.substr(3)));
    // An exchange may lead ("SHFE.au2512", "SHFE_au2512") or follow ("600000.XSHG").
    if (const auto cut = text.find_first_of("._"); cut != std::string_view::npos) {
      if (const Exchange* e = exchange(text.substr(0, cut))) return in_exchange(e->id, text.substr(cut + 1));
    }
    if (const auto cut = text.find_last_of('.'); cut != std::string_view::npos) {
      if (const Exchange* e = exchange(text.substr(cut + 1))) return in_exchange(e->id, text.substr(0, cut));
      const std::string_view head = text.substr(0, text.find_first_of('.'));
      return fail("no exchange '", head, "' is known");
    }
    if (text.size() == 8 && all_digits(text.substr(2))) {
      if (starts_with_folded(text, "sh")) return in_exchange("SSE", text.substr(2));
      if (starts_with_folded(text, "sz")) return in_exchange("SZSE", text.substr(2));
      if (starts_with_folded(text, "bj")) return in_exchange("BSE", text.substr(2));
    }
    if (text.size() == 7 && starts_with_folded(text, "hk") && all_digits(text.substr(2)))
      return in_exchange("HKEX", text.substr(2));
    if (text.size() > 2 && text.starts_with("us") && all_upper(text.substr(2)))
      return in_exchange("US", text.substr(2));
    return bare(text);
  }

 private:
  template <class... Parts>
  bool fail(const Parts&... parts) {
    why_.clear();
    (why_.append(std::string_view(parts)), ...);
    return false;
  }

  const Exchange* exchange(std::string_view spelling) const {
    if (spelling.size() > 8) return nullptr;
    const std::string id = uppered(spelling);
    if (const Exchange* e = calendar_.exchange(id)) return e;
    for (const Alias& alias : kExchangeAliases)
      if (alias.spelling == id) return calendar_.exchange(alias.exchange);
    return nullptr;
  }

  bool done(std::string_view exchange_id, std::string code, Kind kind) {
    out_.exchange = exchange_id;
    out_.code = std::move(code);
    out_.symbol = out_.exchange + "." + out_.code;
    out_.kind = kind;
    return true;
  }

  // KQ.m@SHFE.au, KQ.i@SHFE.bu, KQD.m@CBOT.ZS: continuous series named over an inner "EXCHANGE.product".
  bool special(std::string_view text) {
    const auto dot = text.find('.');
    const std::string_view family = text.substr(0, dot), rest = text.substr(dot + 1);
    const auto at = rest.find('@');
    const std::string_view series = rest.substr(0, at == std::string_view::npos ? 0 : at);
    if (series != "m" && series != "i")
      return fail("'", text, "' is not of the form ", family, ".m@EXCHANGE.product");
    const std::string_view inner = rest.substr(at + 1);
    const auto cut = inner.find('.');
    if (cut == std::string_view::npos || cut == 0 || cut + 1 == inner.size())
      return fail("'", inner, "' is not of the form EXCHANGE.product");
    const std::string_view venue = inner.substr(0, cut), product = inner.substr(cut + 1);
    if (!all_alpha(product) && family == "KQ") return fail("'", product, "' is not a product code");
    if (!std::all_of(product.begin(), product.end(), [](char c) { return is_alpha(c) || is_digit(c); }) ||
        !all_alpha(venue))
      return fail("'", inner, "' is not of the form EXCHANGE.product");
    if (family == "KQD")
      return done(family, std::string(series) + "@" + uppered(venue) + "." + std::string(product), Kind::kCont);
    const Exchange* e = exchange(venue);
    if (e == nullptr || e->kind != "futures")
      return fail("no futures exchange '", venue, "' is known");
    return continuous(series, *e, product);
  }

  bool continuous(std::string_view series, const Exchange& e, std::string_view product) {
    out_.product = calendar_.product(e.id, product);
    const std::string code = product_code(e, product);
    return done("KQ", std::string(series) + "@" + e.id + "." + code, Kind::kCont);
  }

  std::string product_code(const Exchange& e, std::string_view letters) const {
    const std::int32_t index = calendar_.product(e.id, letters);
    if (index >= 0) return calendar_.products()[static_cast<std::size_t>(index)].code;
    if (e.case_rule == "lower") return lowered(letters);
    if (e.case_rule == "upper") return uppered(letters);
    return std::string(letters);
  }

  bool in_exchange(std::string_view id, std::string_view code) {
    const Exchange* e = calendar_.exchange(id);
    if (e == nullptr) return fail("no exchange '", id, "' is known");
    if (code.empty()) return fail("no code stands beside the exchange '", id, "'");
    if (e->kind == "futures") return futures(*e, code);
    if (e->kind == "stock") return stock(*e, code);
    if (!std::all_of(code.begin(), code.end(),
                     [](char c) { return is_alpha(c) || is_digit(c) || c == '.' || c == '-'; }))
      return fail("'", code, "' is not a code of ", e->id);
    return done(e->id, std::string(code), e->kind == "spot" ? Kind::kSpot : Kind::kOther);
  }

  bool stock(const Exchange& e, std::string_view code) {
    if (!all_digits(code)) return fail("'", code, "' is not a code of ", e.id, ": digits only");
    if (e.id == "HKEX") {
      if (code.size() > 5) return fail("'", code, "' is not a code of HKEX: at most five digits");
      return done(e.id, std::string(5 - code.size(), '0') + std::string(code), Kind::kStock);
    }
    if (code.size() == 8 && e.id != "BSE") return done(e.id, std::string(code), Kind::kOption);
    if (code.size() != 6) return fail("'", code, "' is not a code of ", e.id, ": six digits");
    return done(e.id, std::string(code), stock_kind(e.id, code));
  }

  static Kind stock_kind(std::string_view e, std::string_view code) {
    const std::string_view two = code.substr(0, 2), three = code.substr(0, 3);
    if (e == "SSE") {
      if (three == "000" || two == "95") return Kind::kIndex;
      if (code[0] == '6' || code[0] == '9') return Kind::kStock;
      if (code[0] == '5') return Kind::kFund;
      if (code[0] == '0' || code[0] == '1' || code[0] == '2') return Kind::kBond;
    } else if (e == "SZSE") {
      if (three == "399" || two == "98" || two == "97") return Kind::kIndex;
      if (two == "15" || two == "16" || two == "18") return Kind::kFund;
      if (code[0] == '1') return Kind::kBond;
      if (code[0] == '0' || code[0] == '2' || code[0] == '3') return Kind::kStock;
    } else if (e == "BSE") {
      if (three == "899") return Kind::kIndex;
      return Kind::kStock;
    }
    return Kind::kOther;
  }

  bool futures(const Exchange& e, std::string_view code) {
    if (code.find('&') != std::string_view::npos || code.find(' ') != std::string_view::npos)
      return combination(&e, code);
    Name parsed;
    if (!contract(e, code, parsed)) return false;
    out_ = std::move(parsed);
    return true;
  }

  // "SP a1709&a1801", "SPD SR901&SR903": kind, space, two legs of one exchange.
  bool combination(const Exchange* e, std::string_view code) {
    const auto space = code.find(' '), amp = code.find('&');
    const bool shaped = space != std::string_view::npos && amp != std::string_view::npos && space > 1 &&
                        space < amp && code.find('&', amp + 1) == std::string_view::npos &&
                        code.find(' ', space + 1) == std::string_view::npos;
    if (!shaped || space > 6 || !all_alpha(code.substr(0, space)))
      return fail("'", code, "' is not a combination of the form 'SP leg1&leg2'");
    const std::string_view first = code.substr(space + 1, amp - space - 1), second = code.substr(amp + 1);
    if (e == nullptr) {
      const auto letters = static_cast<std::size_t>(
          std::find_if_not(first.begin(), first.end(), is_alpha) - first.begin());
      const std::int32_t product = calendar_.product_of_code(first.substr(0, letters));
      if (product < 0)
        return fail("no product '", first.substr(0, letters), "' is known: write EXCHANGE.code");
      e = calendar_.exchange(calendar_.products()[static_cast<std::size_t>(product)].exchange);
    }
    Name a, b;
    if (!contract(*e, first, a) || !contract(*e, second, b)) return false;
    out_.product = a.product;
    out_.delivery_year = a.delivery_year;
    out_.delivery_month = a.delivery_month;
    out_.leg1 = a.symbol;
    out_.leg2 = b.symbol;
    return done(e->id, uppered(code.substr(0, space)) + " " + a.code + "&" + b.code, Kind::kCombine);
  }

  // A future or an option on one, in its exchange: letters, month digits, and perhaps a right and a strike.
  bool contract(const Exchange& e, std::string_view code, Name& name) {
    const auto letters =
        static_cast<std::size_t>(std::find_if_not(code.begin(), code.end(), is_alpha) - code.begin());
    const auto digits = static_cast<std::size_t>(
        std::find_if_not(code.begin() + static_cast<std::ptrdiff_t>(letters), code.end(), is_digit) -
        code.begin() - static_cast<std::ptrdiff_t>(letters));
    if (letters == 0 || letters > 6 || digits == 0)
      return fail("'", code, "' is not a contract of ", e.id, ": product letters, then a month");
    const std::string_view product = code.substr(0, letters), month = code.substr(letters, digits);
    const std::string_view tail = code.substr(letters + digits);
    if (tail.empty() && (month == "9999" || month == "8888" || month == "0")) {
      Name kept;
      std::swap(out_, kept);
      const bool ok = continuous(month == "8888" ? "i" : "m", e, product);
      std::swap(out_, kept);
      if (ok) name = std::move(kept);
      return ok;
    }
    if (digits != 4 && !(digits == 3 && e.one_digit_year))
      return fail("'", code, "' is not a contract of ", e.id, ": the month has ",
                  (e.one_digit_year ? "three or four" : "four"), " digits");
    name.product = calendar_.product(e.id, product);
    name.exchange = e.id;
    const int mm = (month[digits - 2] - '0') * 10 + (month[digits - 1] - '0');
    if (mm < 1 || mm > 12)
      return fail("'", code, "' has no month ", month.substr(digits - 2));
    std::string written(month);
    if (digits == 3) {
      name.delivery_year = decade(month[0] - '0');
    } else {
      const int yy = (month[0] - '0') * 10 + (month[1] - '0');
      name.delivery_year = yy >= 90 ? 1900 + yy : 2000 + yy;
      // Of one contract's two spellings the exchange's own short one is canonical; a contract of another
      // decade keeps four digits, so no two contracts share a name.
      if (e.one_digit_year && decade(month[1] - '0') == name.delivery_year) written = month.substr(1);
    }
    name.delivery_month = mm;
    const std::string future = product_code(e, product) + written;
    const bool options_only =
        name.product >= 0 && calendar_.products()[static_cast<std::size_t>(name.product)].options_only;
    if (tail.empty()) {
      if (options_only) return fail("'", code, "': ", product, " names options only");
      name.code = future;
      name.kind = Kind::kFuture;
    } else if (e.id == "DCE" && tail.size() == 1 && upper(tail[0]) == 'F' && !options_only) {
      name.code = future + "F";  // a future on the month's average price
      name.kind = Kind::kFuture;
    } else if (!option(e, code, tail, future, options_only, name)) {
      return false;
    }
    name.symbol = e.id + "." + name.code;
    return true;
  }

  // "-C-2450", "C308", "-MS-P-2800" after a month.
  bool option(const Exchange& e, std::string_view code, std::string_view tail, const std::string& future,
              bool options_only, Name& name) {
    const auto wrong = [&] {
      return fail("'", code, "' is not an option: after the month stand C or P and a strike");
    };
    std::string series;
    if (starts_with_folded(tail, "-ms-") || starts_with_folded(tail, "ms")) {
      series = "MS";
      tail.remove_prefix(tail[0] == '-' ? 3 : 2);
    }
    if (!tail.empty() && tail[0] == '-') tail.remove_prefix(1);
    if (tail.size() < 2 || (upper(tail[0]) != 'C' && upper(tail[0]) != 'P')) return wrong();
    name.option_class = upper(tail[0]);
    tail.remove_prefix(1);
    if (tail[0] == '-') tail.remove_prefix(1);
    const char* end = tail.data() + tail.size();
    if (tail.empty() || !is_digit(tail[0]) || !is_digit(tail.back())) return wrong();
    const auto parsed = std::from_chars(tail.data(), end, name.strike, std::chars_format::fixed);
    if (parsed.ec != std::errc() || parsed.ptr != end) return wrong();
    const std::string_view dash = e.option_hyphen ? "-" : "";
    name.code = future;
    if (!series.empty()) name.code.append(dash).append(series);
    name.code.append(dash).push_back(name.option_class);
    name.code.append(dash).append(tail);
    name.kind = Kind::kOption;
    if (options_only) name.underlying = calendar_.products()[static_cast<std::size_t>(name.product)].underlying;
    else name.underlying = e.id + "." + future;
    return true;
  }

  // The year with this last digit nearest to the reference day's, within [now - 1, now + 8].
  std::int32_t decade(int last_digit) const {
    const std::int32_t first = reference_day_ / 10000 - 1;
    return first + ((last_digit - first % 10) + 10) % 10;
  }

  bool bare(std::string_view text) {
    if (text.find_first_of("& ") != std::string_view::npos) return combination(nullptr, text);
    if (all_digits(text)) {
      if (text.size() == 5) return in_exchange("HKEX", text);
      if (text.size() == 8) return in_exchange(text[0] == '9' ? "SZSE" : "SSE", text);
      if (text.size() == 6) {
        if (text.starts_with("92") || text[0] == '4' || text[0] == '8') return in_exchange("BSE", text);
        if (text[0] == '5' || text[0] == '6' || text[0] == '9') return in_exchange("SSE", text);
        if (text[0] <= '3') return in_exchange("SZSE", text);
      }
      return fail("'", text, "' names no exchange: write EXCHANGE.code");
    }
    const auto letters =
        static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_alpha) - text.begin());
    if (letters == 0 || letters == text.size())
      return fail("'", text, "' is not an instrument: write EXCHANGE.code");
    const std::int32_t product = calendar_.product_of_code(text.substr(0, letters));
    if (product < 0)
      return fail("no product '", text.substr(0, letters), "' is known: write EXCHANGE.code");
    return in_exchange(calendar_.products()[static_cast<std::size_t>(product)].exchange, text);
  }

  const Calendar& calendar_;
  std::int32_t reference_day_;
  Name& out_;
  std::string& why_;
};

}  // namespace

bool is_safe_spelling(std::string_view text) {
  if (text.empty() || text.size() > kMaxSpelling) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '.' || c == '_' || c == '@' || c == '&' || c == '-' || c == ' ';
  });
}

bool resolve(std::string_view spelling, const Calendar& calendar, std::int32_t reference_day, Name& out,
             std::string& why) {
  out = Name{};
  while (!spelling.empty() && spelling.front() == ' ') spelling.remove_prefix(1);
  while (!spelling.empty() && spelling.back() == ' ') spelling.remove_suffix(1);
  if (spelling.empty()) {
    why = "an instrument's name is empty";
    return false;
  }
  if (spelling.size() > kMaxSpelling) {
    why = "an instrument's name is longer than 64 characters";
    return false;
  }
  if (!is_safe_spelling(spelling)) {
    why = "an instrument's name holds a character other than letters, digits and . _ @ & - space";
    return false;
  }
  Namer namer(calendar, reference_day, out, why);
  if (!namer.any(spelling)) return false;
  if (out.symbol.size() <= kMaxSpelling) return true;
  why = "an instrument's full name would be longer than 64 characters";
  return false;
}

}  // namespace qautlra
