// The spellings clients subscribed with, each kept once and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qautlra {

// Owner: the hub. A number that nobody holds is not given to another text before recycle(), so that caches
// keyed by number stay right until they are emptied.
class ShownPool {
 public:
  std::uint32_t acquire(std::string_view text) {
    if (const auto found = index_.find(text); found != index_.end()) {
      ++entries_[found->second].refs;
      return found->second;
    }
    std::uint32_t number;
    if (free_.empty()) {
      retired_.reserve(entries_.size() + 1);
      free_.reserve(entries_.size() + 1);
      number = static_cast<std::uint32_t>(entries_.size());
      entries_.emplace_back();
    } else {
      number = free_.back();
      free_.pop_back();
    }
    entries_[number] = {std::string(text), 1};
    index_.emplace(entries_[number].text, number);
    return number;
  }
  void release(std::uint32_t number) {
    Entry& entry = entries_[number];
    if (--entry.refs != 0) return;
    index_.erase(entry.text);
    entry.text.clear();
    retired_.push_back(number);
  }
  void recycle() {
    free_.insert(free_.end(), retired_.begin(), retired_.end());
    retired_.clear();
  }
  // Good until the number is released.
  std::string_view text(std::uint32_t number) const { return entries_[number].text; }

 private:
  struct Entry {
    std::string text;
    std::uint32_t refs = 0;
  };
  std::deque<Entry> entries_;  // a held text never moves: the index and callers look at it in place
  std::vector<std::uint32_t> free_, retired_;
  std::unordered_map<std::string_view, std::uint32_t> index_;
};

}  // namespace qautlra
