#include "client.hpp"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "wire.hpp"

namespace qautlra::ctp {
namespace {

constexpr std::size_t kRecordMax = 2048;
constexpr int kNoSuchRequest = -100;

std::int64_t wall_ns() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * kSecondNs + now.tv_nsec;
}

template <class F>
void* address(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

Client::Client(const Library& library, const std::string& flow, const std::vector<std::string>& fronts,
               bool production, int private_mode, const ClientBounds& bounds)
    : ticks(bounds.ticks, bounds.instruments), events(bounds.event_bytes), library_(library),
      release_(library.release()) {
  spi_.functions.fill(address(&nothing));  // the caller cleans up, so one function fits every slot
  spi_.functions[0] = spi_.functions[1] = nullptr;
  spi_.table = spi_.functions.data() + 2;
  spi_.client = this;
  const Release& r = release_;
  const bool market = library_.market();
  if (market) fill_market();
  else fill_trader();
  api_ = library_.create(flow, production);
  call<void>(api_, market ? r.at(MdApi::RegisterSpi) : r.at(TraderApi::RegisterSpi), static_cast<void*>(&spi_));
  if (!market) {
    // 6.7.13 reads a third argument; older releases leave it alone.
    call<void>(api_, r.at(TraderApi::SubscribePrivateTopic), private_mode, 1);
    call<void>(api_, r.at(TraderApi::SubscribePublicTopic), 2);
  }
  for (const std::string& front : fronts) {
    std::string copy = front;  // the interface takes a writable text
    call<void>(api_, market ? r.at(MdApi::RegisterFront) : r.at(TraderApi::RegisterFront), copy.data());
  }
}

void Client::start() {
  if (api_ != nullptr) call<void>(api_, library_.market() ? release_.at(MdApi::Init) : release_.at(TraderApi::Init));
}

void Client::close() {
  if (api_ == nullptr) return;
  events.close();  // or CTP's thread might wait for room while Release waits for it
  const bool market = library_.market();
  call<void>(api_, market ? release_.at(MdApi::RegisterSpi) : release_.at(TraderApi::RegisterSpi),
             static_cast<void*>(nullptr));
  call<void>(api_, market ? release_.at(MdApi::Release) : release_.at(TraderApi::Release));
  api_ = nullptr;
}

std::string Client::trading_day() const {
  if (api_ == nullptr) return {};
  const char* day = call<const char*>(
      api_, library_.market() ? release_.at(MdApi::GetTradingDay) : release_.at(TraderApi::GetTradingDay));
  return day == nullptr ? "" : std::string(day, strnlen(day, 8));
}

int Client::request(std::uint16_t kind, const char* record, std::size_t bytes, int number) {
  if (api_ == nullptr) return -1;
  int slot = -1;
  if (library_.market()) {
    if (kind == kReqUserLogin) slot = release_.at(MdApi::ReqUserLogin);
    if (kind == kReqUserLogout) slot = release_.at(MdApi::ReqUserLogout);
  } else {
    switch (kind) {
#define QAUTLRA_CTP_SLOT(n, function, callback, asked, answer) \
  case n: slot = release_.at(TraderApi::function); break;
      QAUTLRA_CTP_REQUESTS(QAUTLRA_CTP_SLOT)
#undef QAUTLRA_CTP_SLOT
      default: break;
    }
  }
  if (slot < 0 || bytes > kRecordMax) return kNoSuchRequest;
  alignas(16) char copy[kRecordMax] = {};
  std::memcpy(copy, record, bytes);
  return call<int>(api_, slot, static_cast<void*>(copy), number);
}

int Client::subscribe(const std::vector<std::string>& codes, bool on) {
  if (api_ == nullptr || !library_.market()) return -1;
  std::vector<std::string> copies = codes;
  std::vector<char*> names;
  names.reserve(copies.size());
  for (std::string& code : copies) names.push_back(code.data());
  return call<int>(api_, release_.at(on ? MdApi::SubscribeMarketData : MdApi::UnSubscribeMarketData), names.data(),
                   static_cast<int>(names.size()));
}

// ---- callbacks, on CTP's thread --------------------------------------------------------------------------------

void Client::tell(std::uint16_t kind, const void* record, std::size_t bytes, const RspInfo* info, int number,
                  bool last) {
  Event event{};
  event.kind = kind;
  event.bytes = record == nullptr ? 0 : static_cast<std::uint32_t>(bytes);
  event.last = last;
  event.request = number;
  if (info != nullptr) {
    event.answered = 1;
    event.error = info->ErrorID;
    std::memcpy(event.text, info->ErrorMsg, std::min(sizeof event.text, strnlen(info->ErrorMsg, sizeof info->ErrorMsg)));
  }
  events.push(event, record);
  signal.raise();
}

void Client::connected(Spi* self) { self->client->tell(kFrontConnected, nullptr, 0, nullptr, 0, true); }

void Client::disconnected(Spi* self, int reason) {
  RspInfo info{};
  info.ErrorID = reason;
  self->client->tell(kFrontDisconnected, nullptr, 0, &info, 0, true);
}

void Client::tick(Spi* self, const DepthMarketData* record) {
  if (record == nullptr) return;
  Client& client = *self->client;
  client.ticks.push(*record, wall_ns());
  client.received_.fetch_add(1, std::memory_order_relaxed);
  client.signal.raise();
}

void Client::failed(Spi* self, const RspInfo* info, int number, bool last) {
  self->client->tell(kError, nullptr, 0, info, number, last);
}

template <class T, std::uint16_t kKind>
void Client::answered(Spi* self, const T* record, const RspInfo* info, int number, bool last) {
  Client& client = *self->client;
  client.tell(kKind, record, static_cast<std::size_t>(client.release_.size(RecordOf<T>::id)), info, number, last);
}

template <class T, std::uint16_t kKind>
void Client::pushed(Spi* self, const T* record) {
  answered<T, kKind>(self, record, nullptr, 0, true);
}

template <class T, std::uint16_t kKind>
void Client::refused(Spi* self, const T* record, const RspInfo* info) {
  answered<T, kKind>(self, record, info, 0, true);
}

void Client::fill_market() {
  const Release& r = release_;
  put(r.at(MdSpi::OnFrontConnected), address(&connected));
  put(r.at(MdSpi::OnFrontDisconnected), address(&disconnected));
  put(r.at(MdSpi::OnRspUserLogin), address(&answered<RspUserLogin, kReqUserLogin>));
  put(r.at(MdSpi::OnRspUserLogout), address(&answered<UserLogout, kReqUserLogout>));
  put(r.at(MdSpi::OnRspError), address(&failed));
  put(r.at(MdSpi::OnRspSubMarketData), address(&answered<SpecificInstrument, kSubscribe>));
  put(r.at(MdSpi::OnRspUnSubMarketData), address(&answered<SpecificInstrument, kUnsubscribe>));
  put(r.at(MdSpi::OnRtnDepthMarketData), address(&tick));
}

void Client::fill_trader() {
  const Release& r = release_;
  put(r.at(TraderSpi::OnFrontConnected), address(&connected));
  put(r.at(TraderSpi::OnFrontDisconnected), address(&disconnected));
  put(r.at(TraderSpi::OnRspError), address(&failed));
#define QAUTLRA_CTP_ANSWER(n, function, callback, asked, answer) \
  put(r.at(TraderSpi::callback), address(&answered<answer, n>));
  QAUTLRA_CTP_REQUESTS(QAUTLRA_CTP_ANSWER)
#undef QAUTLRA_CTP_ANSWER
  put(r.at(TraderSpi::OnRtnOrder), address(&pushed<Order, kRtnOrder>));
  put(r.at(TraderSpi::OnRtnTrade), address(&pushed<Trade, kRtnTrade>));
  put(r.at(TraderSpi::OnRtnInstrumentStatus), address(&pushed<InstrumentStatus, kInstrumentStatus>));
  put(r.at(TraderSpi::OnErrRtnOrderInsert), address(&refused<InputOrder, kErrInsert>));
  put(r.at(TraderSpi::OnErrRtnOrderAction), address(&refused<OrderAction, kErrAction>));
}

}  // namespace qautlra::ctp
