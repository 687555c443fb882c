// A growable byte buffer for encoders: reserve once, write raw, never zero-filled.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace qautlra {

// Storage that somebody else owns and a buffer fills: where it lies after it was made that large, null when there is
// no memory. Outlives the buffer.
class BufferStorage {
 public:
  virtual char* resize(std::size_t bytes) = 0;

 protected:
  ~BufferStorage() = default;
};

// Owner: one thread at a time. Grows by doubling and keeps its storage across clear(); the bound on its
// size is the caller's, who knows what it is filled with.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t capacity_bytes) { room(capacity_bytes); }
  Buffer(BufferStorage& storage, std::size_t capacity_bytes) : storage_(&storage) { room(capacity_bytes); }
  ~Buffer() {
    if (storage_ == nullptr) std::free(begin_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(Buffer& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(storage_, other.storage_);
  }

  const char* data() const { return begin_; }
  char* data() { return begin_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {begin_, size_}; }
  void clear() { size_ = 0; }
  void truncate(std::size_t bytes) { size_ = bytes; }

  // Writable end with at least `bytes` free behind it; follow with commit(new end).
  char* room(std::size_t bytes) {
    if (capacity_ - size_ < bytes) grow(bytes);
    return begin_ + size_;
  }
  void commit(const char* end) { size_ = static_cast<std::size_t>(end - begin_); }

  void append(std::string_view text) { append(text.data(), text.size()); }
  void append(const void* bytes, std::size_t count) {
    if (count == 0) return;
    std::memcpy(room(count), bytes, count);
    size_ += count;
  }
  void push_back(char c) {
    *room(1) = c;
    ++size_;
  }

 private:
  void grow(std::size_t bytes) {
    std::size_t wanted = capacity_ ? capacity_ * 2 : std::max<std::size_t>(bytes, 256);
    while (wanted - size_ < bytes) wanted *= 2;
    void* moved = storage_ == nullptr ? std::realloc(begin_, wanted) : storage_->resize(wanted);
    if (moved == nullptr) throw std::bad_alloc();
    begin_ = static_cast<char*>(moved);
    capacity_ = wanted;
  }

  char* begin_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  BufferStorage* storage_ = nullptr;  // null: its own
};

}  // namespace qautlra
