// Start and recovery: a journal's records applied to a new exchange in one go, the owner's notes handed back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exchange/exchange.hpp"

namespace qautlra::exchange {

struct Note {
  std::uint64_t lsn = 0;
  std::string payload;
};

struct Recovered {
  std::uint64_t records = 0;
  std::uint64_t last_lsn = 0;  // of the last one applied
  std::vector<Note> notes;     // in order
  std::string error;           // why it stopped before the end; empty when it did not
  std::string path;            // of a damaged file, with the place of the damage in it
  std::uint64_t offset = 0;
  std::uint64_t lsn = 0;       // the first record that was not applied, with an error
};

// Applies what lies in `directory` from an LSN on: 1 (or the checkpoint older segments were deleted for), or that of a
// checkpoint, whole; anything else is an error. Stops at the first record that is damaged or does not fit; a torn
// tail of the newest segment is the end. Events of the day that is left are dropped: orders() and trades() have it.
Recovered recover(Exchange& exchange, const std::string& directory, std::uint64_t from_lsn = 1);

}  // namespace qautlra::exchange
