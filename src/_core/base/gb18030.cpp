#include "base/gb18030.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "base/gb18030_table.hpp"

namespace qautlra {
namespace gb18030 {
namespace {

constexpr std::size_t kTrails = 190, kLowTrails = 96, kHighTrails = 94;
constexpr std::size_t kLeads = 126;
constexpr std::uint32_t kFourByteBmp = 39'420, kFourByteAstral = 189'000;

// Trails 40..7E and 80..FE in a row.
constexpr std::size_t trail_index(std::uint8_t trail) { return trail - (trail < 0x7F ? 0x40u : 0x41u); }

// Owner: the process, built at first use, immutable.
class Table {
 public:
  Table() {
    using std::size;
    static_assert(size(kSymbols) == 9 * kHighTrails + 1 && size(kIdeographs) == 72 * kHighTrails + 1);
    static_assert(size(kMoreSymbols) == 2 * kLowTrails + 1 && size(kTail) == 101 + 1);
    fill(0xA1, 0xA9, kHighTrails, [](std::size_t i) { return kSymbols[i]; });
    fill(0xB0, 0xF7, kHighTrails, [](std::size_t i) { return kIdeographs[i]; });
    fill(0xA8, 0xA9, kLowTrails, [](std::size_t i) { return kMoreSymbols[i]; });
    char16_t next = 0xE000;
    const auto in_order = [&next](std::size_t) { return next++; };
    fill(0xAA, 0xAF, kHighTrails, in_order);
    fill(0xF8, 0xFE, kHighTrails, in_order);
    fill(0xA1, 0xA7, kLowTrails, in_order);

    std::vector<bool> used(0x10000);
    for (const char16_t c : two_) used[c] = true;
    char16_t ideograph = 0x4E00;
    const auto own = [&](std::size_t) {
      while (ideograph <= 0x9FA5 && used[ideograph]) ++ideograph;
      return ideograph <= 0x9FA5 ? ideograph++ : kTail[ideograph++ - 0x9FA6];
    };
    fill(0x81, 0xA0, kTrails, own);
    fill(0xAA, 0xFE, kLowTrails, own);
    for (const char16_t c : two_) used[c] = true;

    // The four-byte codes are what two bytes left out, in order.
    std::uint16_t linear = 0;
    bool inside = false;
    for (std::uint32_t c = 0x80; c < 0x10000; ++c) {
      const bool here = !used[c] && (c < 0xD800 || c > 0xDFFF);
      if (here && !inside) runs_.push_back({linear, static_cast<char16_t>(c)});
      linear = static_cast<std::uint16_t>(linear + here);
      inside = here;
    }
  }

  char16_t two(std::uint8_t lead, std::uint8_t trail) const {
    return two_[(lead - 0x81u) * kTrails + trail_index(trail)];
  }
  char32_t four(std::uint32_t linear) const {
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), linear,
                                        [](std::uint32_t x, const Run& run) { return x < run.linear; });
    const Run& run = *(after - 1);
    return run.point + (linear - run.linear);
  }

 private:
  struct Run {
    std::uint16_t linear;
    char16_t point;
  };

  // Leads [from, to] with their low (96), high (94) or all trails, in code order.
  template <class Next>
  void fill(std::size_t from, std::size_t to, std::size_t trails, Next next) {
    const std::size_t first = trails == kHighTrails ? kLowTrails : 0;
    std::size_t i = 0;
    for (std::size_t lead = from; lead <= to; ++lead)
      for (std::size_t trail = 0; trail < trails; ++trail)
        two_[(lead - 0x81) * kTrails + first + trail] = next(i++);
  }

  std::array<char16_t, kLeads * kTrails> two_{};
  std::vector<Run> runs_;
};

const Table& table() {
  static const Table built;
  return built;
}

Unit read(std::string_view bytes, const Table& known) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint8_t lead = at(0);
  if (lead < 0x80) return {lead, 1};
  if (lead == 0x80 || lead == 0xFF || bytes.size() < 2) return {kReplacement, 1};
  const std::uint8_t second = at(1);
  if (second >= 0x40 && second != 0x7F && second != 0xFF) return {known.two(lead, second), 2};
  if (second < 0x30 || second > 0x39 || bytes.size() < 4) return {kReplacement, 1};
  const std::uint8_t third = at(2), fourth = at(3);
  if (third < 0x81 || third == 0xFF || fourth < 0x30 || fourth > 0x39) return {kReplacement, 1};
  const std::uint32_t linear =
      ((lead - 0x81u) * 10 + (second - 0x30u)) * 1260 + (third - 0x81u) * 10 + (fourth - 0x30u);
  if (linear < kFourByteBmp) return {known.four(linear), 4};
  if (linear >= kFourByteAstral && linear < kFourByteAstral + 0x100000)
    return {static_cast<char32_t>(0x10000 + (linear - kFourByteAstral)), 4};
  return {kReplacement, 1};
}

void append(std::string& out, char32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    out.push_back(tail(0));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    out.push_back(tail(6));
    out.push_back(tail(0));
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    out.push_back(tail(12));
    out.push_back(tail(6));
    out.push_back(tail(0));
  }
}

}  // namespace

Unit first(std::string_view bytes) { return read(bytes, table()); }

}  // namespace gb18030

void decode_gb18030(std::string_view bytes, std::string& out) {
  out.clear();
  out.reserve(bytes.size() + bytes.size() / 2);
  const auto& known = gb18030::table();
  while (!bytes.empty()) {
    // Quotes are digits and commas for the most part.
    const auto plain = static_cast<std::size_t>(
        std::find_if(bytes.begin(), bytes.end(), [](char c) { return static_cast<signed char>(c) < 0; }) -
        bytes.begin());
    out.append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (bytes.empty()) return;
    const gb18030::Unit unit = gb18030::read(bytes, known);
    gb18030::append(out, unit.point);
    bytes.remove_prefix(unit.size);
  }
}

}  // namespace qautlra
