#include "store/tick_log.hpp"

#include <algorithm>

#include "store/row_codec.hpp"
#include "store/segment_rows.hpp"

namespace qautlra {
namespace {

constexpr std::size_t kRowsPerWrite = 512;
constexpr std::uint64_t kHereBytes = kRowsPerWrite * 2 * kMaxRowBytes;  // a batch is written before anyone is sent it

}  // namespace

TickLog::TickLog(Tape& tape, journal::Journal& journal, HotStore& hot)
    : tape_(tape), journal_(journal), hot_(hot), cursor_(tape.add_cursor(true)) {}

TickLog::~TickLog() { tape_.remove_cursor(cursor_); }

std::uint64_t TickLog::waiting() const {
  const Tape::Span span = tape_.read(cursor_);
  return span.end - span.begin;
}

std::uint64_t TickLog::in_hand() const {
  return waiting() + journal_.head_lsn() - journal_.written_lsn();
}

std::uint64_t TickLog::position() const { return tape_.read(cursor_).begin; }

// Makes sure the segment the next record falls into says who `instrument` is. False when the journal refuses.
bool TickLog::define(std::uint32_t instrument) {
  if (instrument >= defined_in_.size()) defined_in_.resize(instrument + 256);
  for (;;) {
    const std::uint64_t segment = journal_.next_segment();
    if (defined_in_[instrument] == segment) return true;
    std::byte bytes[kMaxInstrumentBytes];
    const std::size_t size = encode_instrument(instrument, hot_.instruments().at(instrument).symbol, bytes);
    if (journal_.append(kInstrumentRecord, bytes, size) == 0) return false;
    defined_in_[instrument] = segment;
  }
}

// One row to journal and hot tier. False when held.
bool TickLog::take(const Snapshot& row, Mask mask) {
  mask &= ~bit(kDatetime);
  const std::size_t size = row_bytes(mask);
  switch (hot_.admit(row.instrument, {row.ts_event_ns(), row.ordinal}, size)) {
    case Admitted::kDuplicate: ++duplicates_; return true;
    case Admitted::kFull:
      held_ = Held::kHot;
      journal_.roll();  // sealed, the rows that fill the tier can go to Parquet; once: an empty segment stays
      return false;
    case Admitted::kNew: break;
  }
  std::byte* at = define(row.instrument) ? journal_.reserve(size) : nullptr;
  if (at == nullptr) {
    held_ = Held::kJournal;
    return false;
  }
  encode_row(row, mask, row.instrument, at);
  const std::uint64_t lsn = journal_.publish(kTickRecord, size);
  hot_.put({at, size}, lsn);  // the ring's bytes stay until the next reserve, whoever has read them
  ++rows_logged_;
  return true;
}

std::size_t TickLog::drain() {
  const Tape::Span span = tape_.read(cursor_);
  if (span.begin == span.end) {
    held_ = Held::kNo;
    return 0;
  }
  const std::uint64_t stop = std::min<std::uint64_t>(span.end, span.begin + kRowsPerDrain);
  std::uint64_t seq = span.begin;
  held_ = Held::kNo;
  for (; seq < stop; ++seq) {
    const Snapshot& row = tape_.at(seq).after;
    if (!take(row, present(row))) break;
    if ((seq + 1 - span.begin) % kRowsPerWrite == 0) journal_.flush(kHereBytes);
  }
  tape_.advance(cursor_, seq);
  journal_.flush(kHereBytes);
  return static_cast<std::size_t>(seq - span.begin);
}

std::uint64_t TickLog::shed() {
  const Tape::Span span = tape_.read(cursor_);
  tape_.advance(cursor_, span.end);
  rows_shed_ += span.end - span.begin;
  return span.end - span.begin;
}

std::size_t TickLog::append_rows(const Snapshot* rows, std::size_t count) {
  held_ = Held::kNo;
  std::size_t done = 0;
  for (; done < count && take(rows[done], present(rows[done])); ++done)
    if ((done + 1) % kRowsPerWrite == 0) journal_.flush(kHereBytes);
  journal_.flush(kHereBytes);
  return done;
}

bool TickLog::recover(const std::string& directory, std::uint64_t from_lsn, InstrumentTable& instruments, Tape* tape,
                      Recovery& out, std::string& error) {
  const std::vector<journal::SegmentFile> files = journal::list_segments(directory, error);
  if (!error.empty()) return false;
  Snapshot row;
  std::byte bytes[kMaxRowBytes];
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (i + 1 < files.size() && files[i + 1].first_lsn <= from_lsn) continue;
    SegmentRows reader;
    if (!reader.open(files[i].path)) {
      out.damage.push_back(reader.damage());
      continue;
    }
    std::vector<std::uint32_t> ids;  // of the segment's names; kNoInstrument when one cannot be named
    SegmentRows::Row found;
    while (reader.next(found)) {
      while (ids.size() < reader.names().size()) {
        std::string why;
        ids.push_back(instruments.intern(reader.names()[ids.size()], why));
        if (ids.back() == kNoInstrument && out.first_refusal.empty()) out.first_refusal = why;
      }
      if (found.lsn < from_lsn) continue;
      const std::uint32_t id = ids[found.name];
      RowHead head;
      if (id == kNoInstrument || !decode_row(found.bytes, head, row)) {
        ++out.refused;
        continue;
      }
      out.last_lsn = found.lsn;
      row.instrument = id;
      const std::size_t size = encode_row(row, present(row), id, bytes);
      if (hot_.admit(id, {row.ts_event_ns(), row.ordinal}, size, true) == Admitted::kNew) {
        hot_.put({bytes, size}, found.lsn);
        ++out.rows;
      } else {
        ++out.duplicates;
      }
      if (tape != nullptr) tape->restore(row);
    }
    out.refused += reader.refused();
    if (out.first_refusal.empty()) out.first_refusal = reader.first_refusal();
    if (reader.is_damaged()) out.damage.push_back(reader.damage());
  }
  return true;
}

}  // namespace qautlra
