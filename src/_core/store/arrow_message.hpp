// A record batch message of an Arrow stream: where the columns lie in it, and the head that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qautlra {

// Owner: one call. The body is the caller's to fill, its gaps too.
class ArrowMessage {
 public:
  struct Column {
    std::size_t width;           // bytes of a value; 0: a text, whose ends have 4 each
    std::size_t text_bytes = 0;  // of all rows
  };
  struct Place {  // in the body, each padded to whole words of 8 bytes
    std::size_t present, values, text, end;
  };

  void lay_out(std::size_t rows, std::vector<Column> columns);
  std::size_t rows() const { return rows_; }
  std::size_t head_bytes() const { return head_bytes_; }
  std::size_t body_bytes() const { return body_bytes_; }
  const Place& place(std::size_t column) const { return places_[column]; }
  // A column without nulls has no presence, whatever lies there.
  void write_head(std::uint8_t* out, std::span<const std::size_t> nulls) const;

 private:
  std::size_t rows_ = 0, head_bytes_ = 0, body_bytes_ = 0;
  std::vector<Column> columns_;
  std::vector<Place> places_;
};

}  // namespace qautlra
