// The log's cursor on the tape: every row the tape takes becomes a journal record and a row of the hot tier.
// Holds the tape back when the journal or the hot tier cannot take more; nothing is dropped here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "journal/segment_reader.hpp"
#include "store/hot.hpp"
#include "tape/tape.hpp"

namespace qautlra {

enum class Held : std::uint8_t {
  kNo,
  kJournal,  // the journal refuses: its buffer is full because the disk is slow or full, or it has failed
  kHot,      // the hot tier is full of rows that are in no Parquet file yet; their segments have been sealed
};

struct Recovery {
  std::uint64_t rows = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t refused = 0;  // records that are no row of an instrument we know how to name
  std::uint64_t last_lsn = 0;
  std::string first_refusal;
  std::vector<journal::Damage> damage;  // what could not be read; reading went on behind it
};

// Owner: the loop thread, the journal's one producer. Tape, journal and hot store must outlive it.
class TickLog {
 public:
  static constexpr std::size_t kRowsPerDrain = 4096;

  TickLog(Tape& tape, journal::Journal& journal, HotStore& hot);
  ~TickLog();
  TickLog(const TickLog&) = delete;
  TickLog& operator=(const TickLog&) = delete;

  // Takes at most kRowsPerDrain entries from the tape; how many. 0: nothing new, or held() says why not. They are
  // written on return, unless Journal::flush leaves that to its writer: in_hand() tells.
  std::size_t drain();
  // Entries on the tape not taken yet, and how many were taken or given up since the tape began.
  std::uint64_t waiting() const;
  std::uint64_t position() const;

  // What a killed process loses: entries on the tape not taken yet, and records the journal has not written yet.
  std::uint64_t in_hand() const;

  // Gives up what waits on the tape, so that a live market goes on without the log. How many.
  std::uint64_t shed();

  // Imports: to log and hot tier without touching the tape. How many were done with (new or duplicate), from the
  // first; fewer than `count` when held.
  std::size_t append_rows(const Snapshot* rows, std::size_t count);

  // Puts the rows of a journal's directory from an LSN on into the hot tier, whatever its bound, and restores
  // the tape's last rows and bars (null: not). False with `error` when the directory cannot be read at all.
  bool recover(const std::string& directory, std::uint64_t from_lsn, InstrumentTable& instruments, Tape* tape,
               Recovery& out, std::string& error);

  Held held() const { return held_; }
  std::uint64_t rows_logged() const { return rows_logged_; }
  std::uint64_t rows_shed() const { return rows_shed_; }
  std::uint64_t duplicates() const { return duplicates_; }

 private:
  bool take(const Snapshot& row, Mask mask);
  bool define(std::uint32_t instrument);

  Tape& tape_;
  journal::Journal& journal_;
  HotStore& hot_;
  int cursor_;
  Held held_ = Held::kNo;
  std::uint64_t rows_logged_ = 0;
  std::uint64_t rows_shed_ = 0;
  std::uint64_t duplicates_ = 0;
  std::vector<std::uint64_t> defined_in_;  // per instrument: the segment (first LSN) that last defined it
};

}  // namespace qautlra
