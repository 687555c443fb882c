// The day's orders by number, by (account, client id), and by their place in a book.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/block.hpp"
#include "base/prefetch.hpp"
#include "exchange/text_hash.hpp"
#include "exchange/types.hpp"

namespace qautlra::exchange {

// Owner: the exchange. Bounded by `orders_max`; memory comes as it is touched and stays for the next day. The table of
// ids doubles when it is three quarters full: a quiet day's ids stay in the cache.
class OrderTable {
 public:
  OrderTable(std::uint32_t orders_max, std::uint32_t slots)
      : orders_max_(orders_max), records_(reserved<OrderRecord>(orders_max)), by_slot_(zeroed<std::uint32_t>(slots + std::size_t{1})) {
    seen_ = zeroed<Entry>(kFirstIds);
    mask_ = kFirstIds - 1;
  }
  bool ready() const { return records_ && by_slot_ && seen_ && orders_max_ > 0; }
  std::uint32_t size() const { return count_; }
  OrderRecord& at(std::uint32_t number) { return records_[number]; }
  const OrderRecord& at(std::uint32_t number) const { return records_[number]; }

  // What the client calls it.
  std::string_view client_id(std::uint32_t number) const { return text(at(number).text); }

  // For what is known ahead: an entry, then what it most likely names, the record with its text.
  void prefetch(std::uint32_t tag) const { fetch(&seen_[tag & mask_]); }
  struct Likely {
    std::uint32_t number = kNone;  // kNone: there is none
    std::uint32_t instrument = kNone;
  };
  Likely prefetch_record(std::uint32_t tag) const {
    for (std::size_t i = tag & mask_; seen_[i].number != 0; i = (i + 1) & mask_) {
      const Entry& e = seen_[i];
      if (e.tag != tag) continue;
      const OrderRecord* const r = &at(e.number - 1);
      fetch(r);
      fetch(&r->hold);
      fetch(text_at(e.text));
      return {e.number - 1, e.instrument};
    }
    return {};
  }
  void prefetch_place(std::uint32_t slot) const { fetch(&by_slot_[slot]); }
  std::uint32_t prefetch_placed(std::uint32_t slot) const {
    const std::uint32_t number = by_slot_[slot] - 1;
    if (number != kNone) {
      fetch(&at(number));
      fetch(&at(number).hold);
    }
    return number;
  }
  // Number of the account's order of that id, kNone when it has none.
  std::uint32_t find(std::uint32_t account, std::string_view client_id) const {
    return find(tag_of(account, client_id), account, client_id);
  }
  std::uint32_t find(std::uint32_t tag, std::uint32_t account, std::string_view client_id) const {
    for (std::size_t i = tag & mask_; seen_[i].number != 0; i = (i + 1) & mask_) {
      const Entry& e = seen_[i];
      if (e.tag == tag && at(e.number - 1).account == account && text(e.text) == client_id) return e.number - 1;
    }
    return kNone;
  }
  static std::uint32_t tag_of(std::uint32_t account, std::string_view client_id) {
    return static_cast<std::uint32_t>(TextHash::of(client_id, account) >> 32);
  }
  bool has_room(std::uint32_t more) const { return more <= orders_max_ - count_; }
  // Room for one more; false at the bound, and when there is no memory.
  bool make_room(std::size_t text_bytes) {
    if (count_ == orders_max_ || (4 * std::size_t{count_} > 3 * mask_ && !grow())) return false;
    if (text_page_ < texts_.size() && text_used_ + room_of(text_bytes) <= kTextBytes) return true;
    const std::size_t next = texts_.empty() ? 0 : text_page_ + 1;
    if (next == texts_.size()) {
      auto page = reserved<char>(kTextBytes);
      if (!page) return false;
      texts_.push_back(std::move(page));
    }
    text_page_ = next;
    text_used_ = 0;
    return true;
  }
  // After make_room(): the record of the next order, filled in where it will be (all but its text), and then added
  // under an id that was not used.
  OrderRecord& next() { return records_[count_]; }
  std::uint32_t add(std::uint32_t tag, std::string_view client_id) {
    const std::uint32_t number = count_++;
    if (count_ != orders_max_) {  // the next one is written to, which takes long where the line is not there
      fetch_to_write(&at(count_));
      fetch_to_write(&at(count_).hold);
    }
    const std::uint32_t text = at(number).text = keep(client_id);
    enter({tag, number + 1, text, at(number).instrument()});
    return number;
  }
  // The record of a live order in a book; kNone for orders of the street.
  std::uint32_t of(book::OrderId id) const { return by_slot_[book::slot_of(id)] - 1; }
  void place(book::OrderId id, std::uint32_t number) { by_slot_[book::slot_of(id)] = number + 1; }

  std::uint32_t bound() const { return orders_max_; }
  // The orders by number change places with those of a table of the same bound; ids stay where they are.
  void exchange(OrderTable& other) {
    std::swap(count_, other.count_);
    std::swap(records_, other.records_);
    std::swap(texts_, other.texts_);
    std::swap(text_page_, other.text_page_);
    std::swap(text_used_, other.text_used_);
  }
  void clear() {
    count_ = 0;
    text_page_ = text_used_ = 0;
    std::memset(seen_.get(), 0, (mask_ + 1) * sizeof(Entry));
  }

 private:
  static constexpr std::size_t kTextBytes = std::size_t{1} << 21;
  static constexpr std::size_t kFirstIds = std::size_t{1} << 12;
  struct Entry {
    std::uint32_t tag;     // of account and id; its low bits say where the entry belongs
    std::uint32_t number;  // + 1; 0: free
    // Of that record, so that what it leads to can be fetched while it is.
    std::uint32_t text;
    std::uint32_t instrument;
  };

  void enter(Entry entry) {
    std::size_t i = entry.tag & mask_;
    while (seen_[i].number != 0) i = (i + 1) & mask_;
    seen_[i] = entry;
  }
  bool grow() {
    const std::size_t size = mask_ + 1;
    auto wider = zeroed<Entry>(size * 2);
    if (!wider) return false;
    std::swap(seen_, wider);
    mask_ = size * 2 - 1;
    for (std::size_t i = 0; i < size; ++i)
      if (wider[i].number != 0) enter(wider[i]);
    return true;
  }
  // A text lies behind its length, at a multiple of eight bytes; it is named by its page and its place in it.
  static constexpr std::size_t room_of(std::size_t text_bytes) { return (text_bytes + 2 + 7) & ~std::size_t{7}; }
  const char* text_at(std::uint32_t text) const {
    return texts_[text / (kTextBytes / 8)].get() + std::size_t{text % (kTextBytes / 8)} * 8;
  }
  std::string_view text(std::uint32_t text) const {
    const char* const from = text_at(text);
    std::uint16_t size;
    std::memcpy(&size, from, sizeof size);
    return {from + sizeof size, size};
  }
  std::uint32_t keep(std::string_view text) {
    char* const to = texts_[text_page_].get() + text_used_;
    const auto size = static_cast<std::uint16_t>(text.size());
    std::memcpy(to, &size, sizeof size);
    std::memcpy(to + sizeof size, text.data(), text.size());
    const auto name = static_cast<std::uint32_t>((text_page_ * kTextBytes + text_used_) / 8);
    text_used_ += room_of(text.size());
    return name;
  }

  const std::uint32_t orders_max_;
  std::uint32_t count_ = 0;
  std::size_t mask_ = 0;
  Block<OrderRecord> records_;
  std::vector<Block<char>> texts_;
  std::size_t text_page_ = 0;
  std::size_t text_used_ = 0;
  Block<std::uint32_t> by_slot_;
  Block<Entry> seen_;
};

}  // namespace qautlra::exchange
