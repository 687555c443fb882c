// One column of an Arrow batch read by row, whatever its type: used by the JSON renderer and the row importer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/arrow_c.hpp"

namespace qautlra {

// Owner: the caller, for as long as it holds the batch; copies nothing.
class ArrowColumn {
 public:
  enum class Type : std::uint8_t {
    kNull, kBool, kInt8, kUint8, kInt16, kUint16, kInt32, kUint32, kInt64, kUint64,
    kFloat, kDouble, kText, kLargeText, kTimestamp, kDate32, kDate64,
  };

  // `base` is the offset of the batch itself. False with a sentence in `why` when the type is not read here.
  bool open(const ArrowSchema& schema, const ArrowArray& array, std::int64_t base, std::string& why);

  Type type() const { return type_; }  // of the values, behind a dictionary
  bool is_dictionary() const { return dictionary_ != nullptr; }
  bool has_zone() const { return has_zone_; }
  std::string_view name() const { return name_; }
  std::int64_t dictionary_size() const { return dictionary_ ? dictionary_->length : 0; }

  bool is_null(std::int64_t row) const {
    const std::int64_t i = row + offset_;
    return type_ == Type::kNull || (valid_ != nullptr && ((valid_[i >> 3] >> (i & 7)) & 1) == 0);
  }
  template <class T>
  T value(std::int64_t row) const {
    return static_cast<const T*>(values_)[row + offset_];
  }
  bool boolean(std::int64_t row) const {
    const std::int64_t i = row + offset_;
    return (static_cast<const std::uint8_t*>(values_)[i >> 3] >> (i & 7)) & 1;
  }
  std::string_view text(std::int64_t row) const { return text_at(row + offset_); }
  // Place in the dictionary; -1 when it points outside or at nothing.
  std::int64_t index(std::int64_t row) const;
  std::string_view dictionary_text(std::int64_t at) const { return text_at(at + dictionary_->offset); }

  std::int64_t unit_ns() const { return unit_ns_; }
  // Nanoseconds of a timestamp; false when they do not fit.
  bool instant_ns(std::int64_t row, std::int64_t& ns) const {
    return !__builtin_mul_overflow(value<std::int64_t>(row), unit_ns_, &ns);
  }
  // The value as a number; false for text and the like.
  bool number(std::int64_t row, double& x) const;
  bool whole(std::int64_t row, std::int64_t& x) const;  // false too for a fraction or what does not fit

 private:
  bool open_type(std::string_view format, std::string& why);
  std::string_view text_at(std::int64_t i) const {
    std::int64_t from, to;
    if (type_ == Type::kText) {
      const auto* ends = static_cast<const std::int32_t*>(values_);
      from = ends[i];
      to = ends[i + 1];
    } else {
      const auto* ends = static_cast<const std::int64_t*>(values_);
      from = ends[i];
      to = ends[i + 1];
    }
    return {characters_ + from, static_cast<std::size_t>(to - from)};
  }

  Type type_ = Type::kNull;
  Type index_type_ = Type::kInt32;
  bool has_zone_ = false;
  std::int64_t unit_ns_ = 1;
  std::int64_t offset_ = 0;
  std::string_view name_;
  const std::uint8_t* valid_ = nullptr;
  const void* values_ = nullptr;        // of the dictionary, when there is one
  const void* indices_ = nullptr;
  const char* characters_ = nullptr;
  const ArrowArray* dictionary_ = nullptr;
  const std::uint8_t* dictionary_valid_ = nullptr;
};

}  // namespace qautlra
