// Encoded rows as one record batch message of an Arrow stream: what is sent, made in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "store/arrow_message.hpp"
#include "store/arrow_rows.hpp"

namespace qautlra {

// `names` and `columns` outlive it, and so do the rows. Texts are plain, as the stream's schema has them; columns and
// values are those of export_rows. Owner: one call.
class RowsMessage {
 public:
  RowsMessage(std::span<const RowRef> rows, std::span<const std::string_view> names, std::span<const int> columns);

  std::size_t bytes() const { return message_.head_bytes() + message_.body_bytes(); }
  void write(std::uint8_t* out) const;  // where bytes() are free, at a whole word of 8

 private:
  std::span<const RowRef> rows_;
  std::span<const std::string_view> names_;
  std::span<const int> columns_;
  Mask always_ = kAllFields;  // slots every row has
  ArrowMessage message_;
};

}  // namespace qautlra
