// How a journal segment looks on disk: one header, then records until the end of the file, or until zeros that reach
// to it: room that a journal of durability `power` has prepared. No record begins with four zero bytes.
//
//   header  40 bytes: magic, version, first_lsn, created_ns, chain (checksum of the last record of the segment
//           before, 0 for the first ever), checksum of these 36 bytes
//   record  u32 length of kind + payload, u32 CRC-32C of (length, kind, payload) seeded with the checksum of the
//           record before it (of the header's chain for the first), u8 kind, payload
//
// Everything is little endian. A record has no number of its own: its LSN is the segment's first_lsn plus its
// place, so a record that is missing, doubled or moved breaks the chain.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace qautlra::journal {

static_assert(std::endian::native == std::endian::little, "journal files are little endian");

constexpr char kMagic[8] = {'Q', 'A', 'U', 'T', 'L', 'O', 'G', '\n'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kRecordHeadBytes = 8;               // length and checksum
constexpr std::uint32_t kMaxRecordBytes = 16u << 20;      // kind + payload
constexpr std::size_t kMinSegmentBytes = 4096;

struct Header {
  std::uint32_t version = kVersion;
  std::uint64_t first_lsn = 1;
  std::int64_t created_ns = 0;
  std::uint32_t chain = 0;
};

void write_header(const Header& header, std::byte out[kHeaderBytes]);

// Empty text when `in` holds a header we can read, else what is wrong with it.
std::string read_header(const std::byte* in, std::size_t size, Header& header);

std::string segment_name(std::uint64_t first_lsn);                          // 20 digits + ".qlog"
bool parse_segment_name(const std::string& name, std::uint64_t& first_lsn);

inline std::uint32_t load_u32(const std::byte* p) {
  std::uint32_t x;
  std::memcpy(&x, p, 4);
  return x;
}
inline std::uint64_t load_u64(const std::byte* p) {
  std::uint64_t x;
  std::memcpy(&x, p, 8);
  return x;
}
inline void store_u32(std::byte* p, std::uint32_t x) { std::memcpy(p, &x, 4); }
inline void store_u64(std::byte* p, std::uint64_t x) { std::memcpy(p, &x, 8); }

}  // namespace qautlra::journal
