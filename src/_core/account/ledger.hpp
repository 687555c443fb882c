// All accounts of a process over one board, by dense number.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "account/account.hpp"

namespace qautlra::account {

constexpr std::size_t kMaxAccounts = 1u << 20;
constexpr std::uint32_t kNoAccount = 0xFFFFFFFF;

// Owner: one thread. Accounts never move.
class Ledger {
 public:
  explicit Ledger(MarginSide margin_side = MarginSide::kSum) : margin_side_(margin_side) {}
  ~Ledger() {
    for (std::uint32_t n = 0; n < size_; ++n) std::destroy_at(&at(n));
  }
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // `key` is the hash of the account's name. kNoAccount when there are too many.
  std::uint32_t open(std::uint64_t key) {
    if (size_ >= kMaxAccounts) return kNoAccount;
    if (size_ == chunks_.size() * kChunk) {
      chunks_.push_back(reserved<Place>(kChunk));
      if (!chunks_.back()) {
        chunks_.pop_back();
        return kNoAccount;
      }
    }
    auto* const place = reinterpret_cast<Account*>(&chunks_.back()[size_ % kChunk]);
    accounts_.push_back(std::construct_at(place, board, size_, key, margin_side_));
    return size_++;
  }
  Account* find(std::uint32_t number) { return number < size_ ? &at(number) : nullptr; }
  Account& at(std::uint32_t number) { return *accounts_[number]; }
  const Account& at(std::uint32_t number) const { return *accounts_[number]; }
  std::size_t size() const { return size_; }
  MarginSide margin_side() const { return margin_side_; }

  // New terms, at once for every holder.
  Code set_terms(std::uint32_t instrument, const Terms& terms) {
    if (!terms.valid()) return Code::kBadParameters;
    const bool known = board.known(instrument);
    if (known)
      for (const std::uint32_t holder : board.holders(instrument)) at(holder).lift(instrument);
    board.set_terms(instrument, terms);
    if (known)
      for (const std::uint32_t holder : board.holders(instrument)) at(holder).lay(instrument);
    return Code::kOk;
  }
  // A last price, to every holder. The first code that is not kOk; the other holders are marked all the same.
  Code mark(std::uint32_t instrument, Price last, std::int64_t now_ns = 0) {
    if (!board.known(instrument)) return Code::kNoInstrument;
    if (last < 0 || last > kMaxPrice) return Code::kBadPrice;
    Quote& quote = board.quote(instrument);
    quote.last = last;
    quote.last_ns = now_ns;
    Code code = Code::kOk;
    for (const std::uint32_t holder : board.holders(instrument)) {
      const Code one = at(holder).mark(instrument, last);
      if (code == Code::kOk) code = one;
    }
    return code;
  }
  // Sets the day's settlement price and marks at it; settle the accounts when all instruments have theirs.
  Code set_settlement(std::uint32_t instrument, Price price) {
    const Code code = mark(instrument, price);
    if (code == Code::kOk) board.quote(instrument).settlement = price;
    return code;
  }
  // Becomes a copy for reading of another one. This one is new, but for its first account.
  void copy(const Ledger& from) {
    board.copy(from.board);
    for (std::uint32_t n = 0; n < from.size_; ++n)
      if (n < size_ || open(from.at(n).key()) != kNoAccount) at(n).copy(from.at(n));
  }
  std::uint64_t state_hash() const {
    std::uint64_t sum = size_;
    for (std::uint32_t n = 0; n < size_; ++n) sum += at(n).state_hash();
    return sum;
  }

  Board board;

 private:
  MarginSide margin_side_;
  struct alignas(Account) Place {
    std::byte bytes[sizeof(Account)];
  };
  static constexpr std::uint32_t kChunk = 1u << 13;
  std::vector<Block<Place>> chunks_;  // in large pages
  std::vector<Account*> accounts_;    // by number
  std::uint32_t size_ = 0;
};

}  // namespace qautlra::account
