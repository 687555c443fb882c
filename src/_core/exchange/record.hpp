// Commands as journal records: fields in order, little-endian, texts with a length before them. Each kind's layout
// is fixed for good; a changed command gets a new kind.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace qautlra::exchange {

static_assert(std::endian::native == std::endian::little);

// Kinds 1 and 2 are the tick log's.
enum class RecordKind : std::uint8_t {
  kAccount = 32,  // opened
  kInstrument,    // listed, or listed anew with other terms
  kMoney,
  kMark,
  kPhase,
  kBand,
  kInsert,
  kCancel,
  kCancelAll,
  kAmend,
  kStreetOrder,
  kEndDay,
  kSettlement,
  kSettle,
  kState,
  kLocks,
  kStreetBook,
  kNote,  // of the exchange's owner: kept in its place, means nothing here
  kCheckpoint,
  kFundedAccount,  // opened with its first deposit
  kStreetShown,    // as kStreetBook, by which levels in no whole lots did not stand
  kExpiry,         // the end of a contract
};
constexpr std::uint8_t kFirstRecordKind = 32;
constexpr std::uint8_t kLastRecordKind = static_cast<std::uint8_t>(RecordKind::kExpiry);

class RecordWriter {
 public:
  RecordWriter() {}  // leaves the bytes alone, which RecordWriter{} otherwise would set to zero
  template <class T>
    requires std::integral<T> || std::is_enum_v<T>
  RecordWriter& add(T x) {
    std::memcpy(bytes_.data() + size_, &x, sizeof x);
    size_ += sizeof x;
    return *this;
  }
  RecordWriter& add(std::string_view text) {
    add(static_cast<std::uint16_t>(text.size()));
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  const void* data() const { return bytes_.data(); }
  std::size_t size() const { return size_; }

 private:
  std::array<std::byte, 1024> bytes_;  // more than any record needs: texts are at most 256 bytes
  std::size_t size_ = 0;
};

// Reads what RecordWriter wrote; once something was missing, nothing is well any more.
class RecordReader {
 public:
  RecordReader(const void* data, std::size_t size) : at_(static_cast<const char*>(data)), left_(size) {}
  template <class T>
    requires std::integral<T> || std::is_enum_v<T>
  RecordReader& get(T& x) {
    if (take(sizeof x)) std::memcpy(&x, at_ - sizeof x, sizeof x);
    return *this;
  }
  RecordReader& get(bool& x) {
    std::uint8_t byte = 0;
    get(byte);
    x = byte != 0;
    return *this;
  }
  RecordReader& get(std::string_view& text) {
    std::uint16_t size = 0;
    get(size);
    if (take(size)) text = {at_ - size, size};
    return *this;
  }
  bool done() const { return well_ && left_ == 0; }

 private:
  bool take(std::size_t size) {
    if (!well_ || left_ < size) return well_ = false;
    at_ += size;
    left_ -= size;
    return true;
  }
  const char* at_;
  std::size_t left_;
  bool well_ = true;
};

}  // namespace qautlra::exchange
