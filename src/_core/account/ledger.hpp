// All accounts of a process over one board, by dense number.
#pragma once

#include <cstdint>
#include <deque>

#include "account/account.hpp"

namespace qautlra::account {

constexpr std::size_t kMaxAccounts = 1u << 20;
constexpr std::uint32_t kNoAccount = 0xFFFFFFFF;

// Owner: one thread. Accounts never move.
class Ledger {
 public:
  explicit Ledger(MarginSide margin_side = MarginSide::kSum) : margin_side_(margin_side) {}
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // `key` is the hash of the account's name. kNoAccount when there are too many.
  std::uint32_t open(std::uint64_t key) {
    if (accounts_.size() >= kMaxAccounts) return kNoAccount;
    const auto number = static_cast<std::uint32_t>(accounts_.size());
    accounts_.emplace_back(board, number, key, margin_side_);
    return number;
  }
  Account* find(std::uint32_t number) { return number < accounts_.size() ? &accounts_[number] : nullptr; }
  Account& at(std::uint32_t number) { return accounts_[number]; }
  const Account& at(std::uint32_t number) const { return accounts_[number]; }
  std::size_t size() const { return accounts_.size(); }

  // New terms, at once for every holder.
  Code set_terms(std::uint32_t instrument, const Terms& terms) {
    if (!board.set_terms(instrument, terms)) return Code::kBadParameters;
    for (const std::uint32_t holder : board.holders(instrument)) accounts_[holder].reprice(instrument);
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
      const Code one = accounts_[holder].mark(instrument, last);
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
  std::uint64_t state_hash() const {
    std::uint64_t sum = accounts_.size();
    for (const Account& account : accounts_) sum += account.state_hash();
    return sum;
  }

  Board board;

 private:
  MarginSide margin_side_;
  std::deque<Account> accounts_;
};

}  // namespace qautlra::account
