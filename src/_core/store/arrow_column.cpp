#include "store/arrow_column.hpp"

#include <cmath>

namespace qautlra {

bool ArrowColumn::open_type(std::string_view format, std::string& why) {
  has_zone_ = false;
  if (format.size() == 1) {
    switch (format[0]) {
      case 'n': type_ = Type::kNull; return true;
      case 'b': type_ = Type::kBool; return true;
      case 'c': type_ = Type::kInt8; return true;
      case 'C': type_ = Type::kUint8; return true;
      case 's': type_ = Type::kInt16; return true;
      case 'S': type_ = Type::kUint16; return true;
      case 'i': type_ = Type::kInt32; return true;
      case 'I': type_ = Type::kUint32; return true;
      case 'l': type_ = Type::kInt64; return true;
      case 'L': type_ = Type::kUint64; return true;
      case 'f': type_ = Type::kFloat; return true;
      case 'g': type_ = Type::kDouble; return true;
      case 'u': type_ = Type::kText; return true;
      case 'U': type_ = Type::kLargeText; return true;
      default: break;
    }
  }
  if (format == "tdD") {
    type_ = Type::kDate32;
    return true;
  }
  if (format == "tdm") {
    type_ = Type::kDate64;
    return true;
  }
  if (format.size() >= 4 && format.substr(0, 2) == "ts" && format[3] == ':') {
    type_ = Type::kTimestamp;
    has_zone_ = format.size() > 4;
    switch (format[2]) {
      case 's': unit_ns_ = 1'000'000'000; return true;
      case 'm': unit_ns_ = 1'000'000; return true;
      case 'u': unit_ns_ = 1'000; return true;
      case 'n': unit_ns_ = 1; return true;
      default: break;
    }
  }
  why = "column " + std::string(name_) + " has a type that is not read here (Arrow format '" + std::string(format) + "')";
  return false;
}

bool ArrowColumn::open(const ArrowSchema& schema, const ArrowArray& array, std::int64_t base, std::string& why) {
  name_ = schema.name ? schema.name : "";
  offset_ = base + array.offset;
  if (!open_type(schema.format, why)) return false;
  if (type_ == Type::kNull && schema.dictionary == nullptr) return true;
  if (array.n_buffers < 2) {
    why = "column " + std::string(name_) + " is malformed";
    return false;
  }
  valid_ = array.null_count == 0 ? nullptr : static_cast<const std::uint8_t*>(array.buffers[0]);
  values_ = array.buffers[1];
  if (schema.dictionary != nullptr) {
    index_type_ = type_;
    if (index_type_ < Type::kInt8 || index_type_ > Type::kUint64 || array.dictionary == nullptr ||
        !open_type(schema.dictionary->format, why) || (type_ != Type::kText && type_ != Type::kLargeText)) {
      why = "column " + std::string(name_) + " is a dictionary of something other than text";
      return false;
    }
    dictionary_ = array.dictionary;
    indices_ = values_;
    values_ = dictionary_->buffers[1];
    dictionary_valid_ =
        dictionary_->null_count == 0 ? nullptr : static_cast<const std::uint8_t*>(dictionary_->buffers[0]);
    characters_ = static_cast<const char*>(dictionary_->buffers[2]);
  } else if (type_ == Type::kText || type_ == Type::kLargeText) {
    characters_ = static_cast<const char*>(array.buffers[2]);
  }
  return true;
}

std::int64_t ArrowColumn::index(std::int64_t row) const {
  const std::int64_t i = row + offset_;
  std::int64_t at = -1;
  switch (index_type_) {
    case Type::kInt8: at = static_cast<const std::int8_t*>(indices_)[i]; break;
    case Type::kUint8: at = static_cast<const std::uint8_t*>(indices_)[i]; break;
    case Type::kInt16: at = static_cast<const std::int16_t*>(indices_)[i]; break;
    case Type::kUint16: at = static_cast<const std::uint16_t*>(indices_)[i]; break;
    case Type::kInt32: at = static_cast<const std::int32_t*>(indices_)[i]; break;
    case Type::kUint32: at = static_cast<const std::uint32_t*>(indices_)[i]; break;
    default: at = static_cast<const std::int64_t*>(indices_)[i]; break;
  }
  if (at < 0 || at >= dictionary_->length) return -1;
  const std::int64_t j = at + dictionary_->offset;
  if (dictionary_valid_ != nullptr && ((dictionary_valid_[j >> 3] >> (j & 7)) & 1) == 0) return -1;
  return at;
}

bool ArrowColumn::number(std::int64_t row, double& x) const {
  std::int64_t n;
  switch (type_) {
    case Type::kFloat: x = static_cast<double>(value<float>(row)); return true;
    case Type::kDouble: x = value<double>(row); return true;
    case Type::kUint64: x = static_cast<double>(value<std::uint64_t>(row)); return true;
    default:
      if (!whole(row, n)) return false;
      x = static_cast<double>(n);
      return true;
  }
}

bool ArrowColumn::whole(std::int64_t row, std::int64_t& x) const {
  double d;
  switch (type_) {
    case Type::kInt8: x = value<std::int8_t>(row); return true;
    case Type::kUint8: x = value<std::uint8_t>(row); return true;
    case Type::kInt16: x = value<std::int16_t>(row); return true;
    case Type::kUint16: x = value<std::uint16_t>(row); return true;
    case Type::kInt32: x = value<std::int32_t>(row); return true;
    case Type::kUint32: x = value<std::uint32_t>(row); return true;
    case Type::kInt64: x = value<std::int64_t>(row); return true;
    case Type::kUint64:
      if (value<std::uint64_t>(row) > static_cast<std::uint64_t>(INT64_MAX)) return false;
      x = static_cast<std::int64_t>(value<std::uint64_t>(row));
      return true;
    case Type::kFloat: d = static_cast<double>(value<float>(row)); break;
    case Type::kDouble: d = value<double>(row); break;
    default: return false;
  }
  if (!(std::abs(d) < 9.2e18) || d != std::floor(d)) return false;
  x = static_cast<std::int64_t>(d);
  return true;
}

}  // namespace qautlra
