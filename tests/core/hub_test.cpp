// The tape and the hub without Python: what sanitizers should see, and what only C++ can reach (cursors).
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "expect.hpp"
#include "feed/hub.hpp"
#include "feed/websocket.hpp"
#include "tape/tape.hpp"

using namespace qautlra;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMorning = 1'609'723'800 * kSecond;  // 2021-01-04 09:30:00 in Beijing

struct World {
  Calendar calendar;
  std::unique_ptr<InstrumentTable> instruments;
  World() {
    Sections sections;
    sections.name = "index";
    sections.day = {{9 * 3600 + 1800, 11 * 3600 + 1800}, {13 * 3600, 15 * 3600}};
    sections.auction_s = 300;
    Exchange exchange;
    exchange.id = "CFFEX";
    exchange.case_rule = "upper";
    exchange.kind = "futures";
    Product product;
    product.exchange = "CFFEX";
    product.code = "IF";
    product.price_tick = 0.2;
    product.volume_multiple = 300;
    calendar.set_known_through(20301231);
    product.sections_id = calendar.add_sections(sections);
    calendar.add_exchange(exchange);
    calendar.add_product(product);
    calendar.finish();
    instruments = std::make_unique<InstrumentTable>(calendar, 20210104);
    std::string why;
    for (const char* symbol : {"CFFEX.IF2101", "CFFEX.IF2102", "CFFEX.IF2103", "CFFEX.IF2106"})
      EXPECT(instruments->intern(symbol, why) != kNoInstrument);
  }
};

Snapshot row(std::uint32_t instrument, std::int64_t ns, double price = 5230.0) {
  Snapshot s;
  s.instrument = instrument;
  s.trading_day = 20210104;
  s.set_count(kDatetime, kMorning + ns);
  s.set_price(kLastPrice, price);
  return s;
}

std::string frame(Hub& hub, Handle client, std::string_view tail = {}) {
  Hub::Plan plan;
  EXPECT(hub.plan(client, tail, plan));
  std::string out(plan.bytes, '\0');
  if (plan.bytes != 0 && !plan.known) {
    EXPECT_EQ(static_cast<std::size_t>(hub.write(out.data()) - out.data()), plan.bytes);
  }
  hub.commit();
  return out;
}

void subscribe(Hub& hub, Handle client, const std::vector<Hub::Wanted>& wanted) {
  std::size_t at = 0;
  EXPECT(hub.subscribe(client, wanted, at) == Hub::Refusal::kNone);
}

}  // namespace

TEST_CASE(a_holding_cursor_stops_the_tape_and_loses_nothing) {
  World world;
  Tape tape(*world.instruments, world.calendar, 8);
  const int log = tape.add_cursor(true);
  std::vector<Snapshot> rows;
  for (int n = 0; n < 100; ++n) rows.push_back(row(0, n, n));
  std::size_t next = 0, read = 0;
  while (read < rows.size()) {
    const Tape::Taken taken = tape.publish(rows.data() + next, rows.size() - next);
    EXPECT(!taken.refused);
    EXPECT(taken.rows <= 8);
    next += taken.rows;
    if (next < rows.size()) {
      EXPECT_EQ(tape.room(), 0u);
      EXPECT(tape.publish(rows[next]) == Published::kFull);
      EXPECT(tape.publish(rows[next - 1]) == Published::kDuplicate);
    }
    const Tape::Span span = tape.read(log);
    EXPECT_EQ(span.lost, 0u);
    const std::uint64_t some = span.begin + (span.end - span.begin + 1) / 2;
    for (std::uint64_t seq = span.begin; seq < some; ++seq, ++read) {
      EXPECT_EQ(tape.at(seq).seq, seq);
      EXPECT_EQ(tape.at(seq).after.price(kLastPrice), static_cast<double>(read));
      EXPECT(tape.at(seq).stamp_ns > 0);
    }
    tape.advance(log, some);
  }
  tape.remove_cursor(log);
  for (int n = 100; n < 200; ++n) EXPECT(tape.publish(row(0, n)) == Published::kNew);
}

TEST_CASE(a_skipping_cursor_learns_what_it_lost) {
  World world;
  Tape tape(*world.instruments, world.calendar, 8);
  const int hub = tape.add_cursor(false);
  for (int n = 0; n < 20; ++n) EXPECT(tape.publish(row(0, n)) == Published::kNew);
  const Tape::Span span = tape.read(hub);
  EXPECT_EQ(span.begin, 12u);
  EXPECT_EQ(span.end, 20u);
  EXPECT_EQ(span.lost, 12u);
  tape.advance(hub, span.end);
  EXPECT_EQ(tape.read(hub).lost, 0u);
  const int late = tape.add_cursor(false);
  EXPECT_EQ(tape.read(late).begin, 20u);
}

TEST_CASE(cursors_are_bounded_and_given_again) {
  World world;
  Tape tape(*world.instruments, world.calendar, 8);
  for (std::size_t n = 0; n < Tape::kMaxCursors; ++n) tape.add_cursor(n % 2 == 0);
  bool refused = false;
  try {
    tape.add_cursor(false);
  } catch (const std::length_error&) {
    refused = true;
  }
  EXPECT(refused);
  tape.remove_cursor(5);
  EXPECT_EQ(tape.add_cursor(true), 5);
}

TEST_CASE(masks_and_late_rows_on_the_ring) {
  World world;
  Tape tape(*world.instruments, world.calendar, 8);
  Snapshot first = row(0, 0);
  EXPECT(tape.publish(first) == Published::kNew);
  EXPECT_EQ(tape.at(0).mask, bit(kDatetime) | bit(kLastPrice));
  EXPECT(tape.publish(row(0, 1)) == Published::kNew);
  EXPECT_EQ(tape.at(1).mask, bit(kDatetime));
  Snapshot vanished = row(0, 2);
  vanished.set_price(kLastPrice, kNoPrice);
  EXPECT(tape.publish(vanished) == Published::kNew);
  EXPECT_EQ(tape.at(2).mask, bit(kDatetime) | bit(kLastPrice));
  EXPECT(tape.publish(row(0, 1, 9.0)) == Published::kLate);
  EXPECT(tape.at(3).late);
  EXPECT_EQ(tape.at(3).mask, Mask{0});
  EXPECT_EQ(tape.at(3).after.price(kLastPrice), 9.0);
  Snapshot unstamped = row(0, 3);
  unstamped.set_count(kDatetime, kNoCount);
  EXPECT(tape.publish(unstamped) == Published::kRefused);
  EXPECT(tape.publish(row(4, 3)) == Published::kRefused);
  EXPECT_EQ(tape.head(), 4u);
}

TEST_CASE(a_plan_that_is_not_committed_has_not_happened) {
  World world;
  Tape tape(*world.instruments, world.calendar, 64);
  Hub hub(tape, {});
  const Handle client = hub.open();
  subscribe(hub, client, {{0, "IF2101"}});
  const Snapshot one = row(0, 0);
  tape.publish(&one, 1);
  Hub::Plan plan;
  EXPECT(hub.plan(client, {}, plan));
  EXPECT(hub.plan(client, {}, plan));
  EXPECT_EQ(hub.pending(client), 1);
  EXPECT(!frame(hub, client).empty());
  EXPECT_EQ(hub.pending(client), 0);
  EXPECT(frame(hub, client).empty());
}

TEST_CASE(text_headers) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{125}, std::size_t{126}, std::size_t{65'535},
                                 std::size_t{65'536}, std::size_t{1} << 33}) {
    std::array<char, kMaxFrameHeader> out{};
    const auto bytes = static_cast<std::size_t>(write_text_header(out.data(), size) - out.data());
    EXPECT_EQ(bytes, text_header_size(size));
    std::size_t length = static_cast<unsigned char>(out[1]);
    if (length >= 126) {
      length = 0;
      for (std::size_t i = 2; i < bytes; ++i) length = length << 8 | static_cast<unsigned char>(out[i]);
    }
    EXPECT_EQ(length, size);
  }
}

// Random life of many clients: nothing to compare with here, everything for a sanitizer to see.
TEST_CASE(churn) {
  World world;
  Tape tape(*world.instruments, world.calendar, 64);
  HubLimits limits;
  limits.clients = 20;
  limits.frame_bytes = 4'000;
  Hub hub(tape, limits);
  std::mt19937 random(20210104);
  const auto upto = [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::vector<std::string> spellings{"a", "b.c", "IF2101", "CFFEX.IF2101", "x_y", "z&z", "q q"};
  std::vector<Handle> clients;
  std::int64_t clock = 0;
  std::size_t sent = 0;
  for (int step = 0; step < 60'000; ++step) {
    const std::uint32_t dice = upto(100);
    if (dice < 60) {
      Snapshot s = row(upto(4), ++clock * 1000, upto(100));
      for (int n = 0; n < 5; ++n) {
        const int field = 1 + static_cast<int>(upto(kFieldCount - 1));
        if (is_count(field)) s.set_count(field, upto(3) ? static_cast<std::int64_t>(upto(1000)) : kNoCount);
        else s.set_price(field, upto(3) ? upto(1000) / 7.0 : kNoPrice);
      }
      tape.publish(&s, 1);
    } else if (dice < 64 || clients.empty()) {
      const Handle client = hub.open();
      EXPECT_EQ(client != 0, clients.size() < limits.clients);
      if (client != 0) {
        ClientOptions options;
        options.style = static_cast<Style>(upto(4));
        options.market_data = upto(2);
        options.full_only = upto(4) == 0;
        options.stamp = upto(2);
        EXPECT(hub.set_options(client, options));
        clients.push_back(client);
      }
    } else if (dice < 66) {
      const std::size_t which = upto(static_cast<std::uint32_t>(clients.size()));
      EXPECT(hub.close(clients[which]));
      EXPECT(!hub.close(clients[which]));
      clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (dice < 75) {
      std::vector<Hub::Wanted> wanted;
      for (std::uint32_t n = upto(6); n > 0; --n) {
        const std::uint32_t spelling = upto(static_cast<std::uint32_t>(spellings.size()));
        wanted.push_back({spelling % 4, spellings[spelling]});
      }
      subscribe(hub, clients[upto(static_cast<std::uint32_t>(clients.size()))], wanted);
    } else {
      const std::string out = frame(hub, clients[upto(static_cast<std::uint32_t>(clients.size()))],
                                    dice < 80 ? std::string_view("{}") : std::string_view());
      sent += out.size();
      EXPECT(out.size() < limits.frame_bytes + 4'096);
    }
  }
  EXPECT(sent > 0);
  EXPECT(hub.counters().frames_built > 0);
  for (const Handle client : clients) EXPECT(hub.close(client));
  EXPECT_EQ(hub.subscriptions(), 0u);
  EXPECT_EQ(hub.open_clients(), 0u);
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
