// Thrift's compact protocol as far as Parquet's metadata uses it: structs read field by field, the rest skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace qautlra {

// Owner: one call on the stack; the bytes must outlive it and what it returns. After something that cannot be read
// `failed` is true and all that follows is empty.
class ThriftReader {
 public:
  enum Type : std::uint8_t {
    kStop = 0, kTrue = 1, kFalse = 2, kByte = 3, kInt16 = 4, kInt32 = 5, kInt64 = 6, kDouble = 7, kBinary = 8,
    kList = 9, kSet = 10, kMap = 11, kStruct = 12,
  };

  explicit ThriftReader(std::span<const std::uint8_t> in) : in_(in) {}

  bool failed() const { return failed_; }
  std::size_t taken() const { return at_; }

  // Calls `field(id, type)` for each field of a struct; what it returns false for is skipped.
  template <class Field>
  void each(Field&& field) {
    for (std::int64_t id = 0; !failed_;) {
      const std::uint8_t head = byte();
      const auto type = static_cast<Type>(head & 15);
      if (type == kStop) return;
      id = head >> 4 ? id + (head >> 4) : integer();
      using Ids = std::numeric_limits<std::int16_t>;
      if (id < Ids::min() || id > Ids::max()) failed_ = true;
      if (!failed_ && !field(static_cast<int>(id), type)) skip(type, kDepth);
    }
  }

  // Calls `element(type)` for each element of a list, which must read it.
  template <class Element>
  void list(Element&& element) {
    Type type;
    for (std::uint64_t left = list_head(type); left > 0 && !failed_; --left) element(type);
  }

  std::int64_t integer() {
    const std::uint64_t raw = varint();
    return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  }

  std::string_view binary() {
    const std::uint64_t size = varint();
    if (failed_ || size > in_.size() - at_) {
      failed_ = true;
      return {};
    }
    at_ += size;
    return {reinterpret_cast<const char*>(in_.data()) + at_ - size, static_cast<std::size_t>(size)};
  }

 private:
  static constexpr int kDepth = 16;

  std::uint8_t byte() {
    if (at_ >= in_.size()) {
      failed_ = true;
      return 0;
    }
    return in_[at_++];
  }

  std::uint64_t varint() {
    std::uint64_t found = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t next = byte();
      found |= static_cast<std::uint64_t>(next & 127) << shift;
      if (next < 128) return found;
    }
    failed_ = true;
    return 0;
  }

  std::uint64_t list_head(Type& type) {
    const std::uint8_t head = byte();
    type = static_cast<Type>(head & 15);
    return head >> 4 == 15 ? varint() : head >> 4;
  }

  void skip(Type type, int depth) {
    if (depth == 0) failed_ = true;
    if (failed_) return;
    switch (type) {
      case kTrue: case kFalse: return;
      case kByte: byte(); return;
      case kInt16: case kInt32: case kInt64: varint(); return;
      case kDouble:
        if (in_.size() - at_ < 8) failed_ = true; else at_ += 8;
        return;
      case kBinary: binary(); return;
      case kList: case kSet: {
        Type inner;
        for (std::uint64_t left = list_head(inner); left > 0 && !failed_; --left) element(inner, depth);
        return;
      }
      case kStruct:
        for (;;) {
          const std::uint8_t head = byte();
          if (failed_ || (head & 15) == kStop) return;
          if (head >> 4 == 0) varint();
          skip(static_cast<Type>(head & 15), depth - 1);
        }
      default: failed_ = true;  // Parquet has no maps
    }
  }

  void element(Type type, int depth) {
    if (type == kTrue || type == kFalse) {
      byte();  // within a list these take one
    } else {
      skip(type, depth - 1);
    }
  }

  std::span<const std::uint8_t> in_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace qautlra
