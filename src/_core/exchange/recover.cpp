#include "exchange/recover.hpp"

#include "journal/segment_reader.hpp"

namespace qautlra::exchange {

Recovered recover(Exchange& exchange, const std::string& directory, std::uint64_t from_lsn) {
  Recovered out;
  journal::DirectoryReader reader;
  if (!reader.open(directory, from_lsn, out.error)) return out;
  journal::Record record;
  journal::Next next;
  while ((next = reader.next(record)) == journal::Next::kRecord) {
    // What does not begin at the first record of all begins with a checkpoint, or an exchange would lack what was before.
    const bool is_checkpoint = record.kind == static_cast<std::uint8_t>(RecordKind::kCheckpoint);
    if (out.records == 0 && record.lsn != 1 && !(is_checkpoint && (from_lsn == 1 || record.lsn == from_lsn))) {
      out.error = "record " + std::to_string(record.lsn) + " is no checkpoint a replay may begin with";
      out.lsn = record.lsn;
      return out;
    }
    if (exchange.replay(record.kind, record.payload.data(), record.payload.size()) != kOk) {
      out.error = "record " + std::to_string(record.lsn) + " of kind " + std::to_string(record.kind) +
                  " does not fit what the records before it come to";
      out.lsn = record.lsn;
      return out;
    }
    exchange.clear_events();
    if (record.kind == static_cast<std::uint8_t>(RecordKind::kNote))
      out.notes.push_back({record.lsn, {reinterpret_cast<const char*>(record.payload.data()), record.payload.size()}});
    ++out.records;
    out.last_lsn = record.lsn;
  }
  if (next == journal::Next::kBad) {
    const journal::Damage& damage = reader.damage();
    out.error = damage.path + " at byte " + std::to_string(damage.offset) + ": " + damage.reason;
    out.path = damage.path;
    out.offset = damage.offset;
    out.lsn = damage.lsn;
  } else if (from_lsn > 1 && out.records == 0) {
    out.error = "record " + std::to_string(from_lsn) + " is not there";
    out.lsn = from_lsn;
  } else if (exchange.is_restoring()) {
    out.error = "the journal ends within a checkpoint, after record " + std::to_string(out.last_lsn);
    out.lsn = out.last_lsn + 1;
  }
  return out;
}

}  // namespace qautlra::exchange
