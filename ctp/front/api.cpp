// The drop-in library itself: objects with the v-tables a CTP program was compiled for, made for its release.
//
// Exported are the factories and GetApiVersion only. Calling through hand-made v-tables is outside the C++
// standard but is what the Itanium ABI says; this file is compiled without strict aliasing and without LTO.
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include "facts.hpp"
#include "release.hpp"
#include "session.hpp"
#include "wire.hpp"

namespace qautlra::ctp {
namespace {

constexpr int kSlotsMax = 256;
constexpr std::size_t kRecordMax = 4096;
static_assert(sizeof(DepthMarketData) <= kRecordMax && sizeof(Instrument) <= kRecordMax);

struct Spi {  // an object of the program's own class
  void** table;
};

// One object of the program's. Never freed: a thread may still be inside its Join when Release returns, and
// programs are known to call a released object; a few kilobytes each, with thread and buffers given back.
struct Api final : Listener {
  Api(bool is_market, const Release& caller, const char* flow);

  void connected() override;
  void disconnected(int reason) override;
  void frame(const Head& head, const char* text, char* record, std::size_t bytes) override;

  template <class... A>
  void call(int slot, A... arguments) const {
    Spi* to = spi;
    if (to != nullptr && slot >= 0) reinterpret_cast<void (*)(Spi*, A...)>(to->table[slot])(to, arguments...);
  }
  template <class M, class T>
  int place(M in_market, T in_trader) const {
    return market ? release.at(in_market) : release.at(in_trader);
  }

  void* table[kSlotsMax + 2] = {};
  const bool market;
  const Release& release;
  std::atomic<Spi*> spi{nullptr};
  std::unique_ptr<Session> session;
  char trading_day[9] = "";
  std::mutex joining;
  std::condition_variable joined;
  bool released = false;
};

// What the program holds: the first word is the v-table pointer it calls through.
struct Handle {
  void** table;
  Api* api;
};

template <class T>
int ask(Handle* self, std::uint16_t kind, const T* record, int request) {
  Api& api = *self->api;
  const auto bytes = static_cast<std::size_t>(api.release.size(RecordOf<T>::id));
  if (record == nullptr) return api.session->send(kind, nullptr, 0, sizeof(T), request);
  return api.session->send(kind, record, bytes, sizeof(T), request);
}

// ---- the functions every object has ----------------------------------------------------------------------------

void release_api(Handle* self) {
  Api& api = *self->api;
  api.session->stop();
  api.spi = nullptr;
  const std::lock_guard<std::mutex> lock(api.joining);
  api.released = true;
  api.joined.notify_all();
}

void init(Handle* self) { self->api->session->start(); }

int join(Handle* self) {
  Api& api = *self->api;
  std::unique_lock<std::mutex> lock(api.joining);
  api.joined.wait(lock, [&api] { return api.released; });
  return 0;
}

const char* trading_day(Handle* self) { return self->api->trading_day; }

// Under `qautlra ctp-sim exec` the program's own front is replaced, whatever it is and however many there are.
void register_front(Handle* self, const char* address) {
  Session& session = *self->api->session;
  if (const char* instead = std::getenv("QAUTLRA__CTP__FRONT"); instead != nullptr && *instead != '\0') {
    if (!session.has_front()) session.add_front(instead);
    return;
  }
  if (!session.add_front(address)) {
    std::fprintf(stderr, "qautlra: %.80s is not tcp://ADDRESS:PORT of a simulated front\n", address ? address : "");
  }
}

void register_spi(Handle* self, Spi* spi) { self->api->spi = spi; }
void take_nothing(Handle*, void*) {}
void register_name_server(Handle* self, const char*) { register_front(self, ""); }
int accept_all(Handle*, void*) { return 0; }
int unknown_request(Handle* self, void*, int request) {
  return self->api->session->send(kUnknown, nullptr, 0, 0, request);
}

// ---- trader ----------------------------------------------------------------------------------------------------

void private_topic(Handle* self, int mode, int number) {
  // The number is an argument of 6.7.13 only; with other releases its register holds anything.
  self->api->session->resume(mode, mode == 4 && number > 0 ? static_cast<std::uint32_t>(number) : 0);
}
void public_topic(Handle*, int) {}

// ---- market ----------------------------------------------------------------------------------------------------

int name_instruments(Handle* self, std::uint16_t kind, char** ids, int count) {
  std::string names;
  for (int i = 0; i < count; ++i) {
    if (ids[i] == nullptr) continue;
    names.append(ids[i], strnlen(ids[i], sizeof(SpecificInstrument::InstrumentID) - 1));
    names += '\0';
  }
  if (names.size() > kBodyMax) return -1;
  return self->api->session->send(kind, names.data(), names.size(), names.size(), 0);
}
int subscribe(Handle* self, char** ids, int count) { return name_instruments(self, kSubscribe, ids, count); }
int unsubscribe(Handle* self, char** ids, int count) { return name_instruments(self, kUnsubscribe, ids, count); }

// ---- the v-table -----------------------------------------------------------------------------------------------

#define QAUTLRA_CTP_FUNCTION(number, function, callback, asked, answered) \
  int function##_(Handle* self, const asked* record, int request) { return ask(self, number, record, request); }
QAUTLRA_CTP_REQUESTS(QAUTLRA_CTP_FUNCTION)
#undef QAUTLRA_CTP_FUNCTION

template <class F>
void put(void** table, int slot, F* function) {
  if (slot >= 0) table[slot] = reinterpret_cast<void*>(function);
}

void fill_market(void** table, const Release& r) {
  put(table, r.at(MdApi::Release), release_api);
  put(table, r.at(MdApi::Init), init);
  put(table, r.at(MdApi::Join), join);
  put(table, r.at(MdApi::GetTradingDay), trading_day);
  put(table, r.at(MdApi::RegisterFront), register_front);
  put(table, r.at(MdApi::RegisterNameServer), register_name_server);
  put(table, r.at(MdApi::RegisterFensUserInfo), take_nothing);
  put(table, r.at(MdApi::RegisterSpi), register_spi);
  put(table, r.at(MdApi::SubscribeMarketData), subscribe);
  put(table, r.at(MdApi::UnSubscribeMarketData), unsubscribe);
  put(table, r.at(MdApi::ReqUserLogin), ReqUserLogin_);
  put(table, r.at(MdApi::ReqUserLogout), ReqUserLogout_);
}

void fill_trader(void** table, const Release& r) {
#define QAUTLRA_CTP_PUT(number, function, callback, asked, answered) \
  put(table, r.at(TraderApi::function), function##_);
  QAUTLRA_CTP_REQUESTS(QAUTLRA_CTP_PUT)
#undef QAUTLRA_CTP_PUT
  put(table, r.at(TraderApi::Release), release_api);
  put(table, r.at(TraderApi::Init), init);
  put(table, r.at(TraderApi::Join), join);
  put(table, r.at(TraderApi::GetTradingDay), trading_day);
  put(table, r.at(TraderApi::GetFrontInfo), take_nothing);
  put(table, r.at(TraderApi::RegisterFront), register_front);
  put(table, r.at(TraderApi::RegisterNameServer), register_name_server);
  put(table, r.at(TraderApi::RegisterFensUserInfo), take_nothing);
  put(table, r.at(TraderApi::RegisterSpi), register_spi);
  put(table, r.at(TraderApi::SubscribePrivateTopic), private_topic);
  put(table, r.at(TraderApi::SubscribePublicTopic), public_topic);
  put(table, r.at(TraderApi::RegisterUserSystemInfo), accept_all);
  put(table, r.at(TraderApi::SubmitUserSystemInfo), accept_all);
  put(table, r.at(TraderApi::RegisterWechatUserSystemInfo), accept_all);
  put(table, r.at(TraderApi::SubmitWechatUserSystemInfo), accept_all);
}

Api::Api(bool is_market, const Release& caller, const char* flow) : market(is_market), release(caller) {
  session = std::make_unique<Session>(*this, market ? 1 : 2, release.name);
  if (!market && flow != nullptr) session->keep_flow(flow);
  void** slots = table + 2;  // offset to top and type info stand before the functions
  for (int i = 0; i < kSlotsMax; ++i) put(slots, i, unknown_request);
  if (market) fill_market(slots, release);
  else fill_trader(slots, release);
}

// ---- what comes back -------------------------------------------------------------------------------------------

void Api::connected() { call(place(MdSpi::OnFrontConnected, TraderSpi::OnFrontConnected)); }

void Api::disconnected(int reason) {
  call(place(MdSpi::OnFrontDisconnected, TraderSpi::OnFrontDisconnected), reason);
}

int trader_callback(const Release& r, std::uint16_t kind) {
  switch (kind) {
#define QAUTLRA_CTP_CALLBACK(number, function, callback, asked, answered) \
  case number: return r.at(TraderSpi::callback);
    QAUTLRA_CTP_REQUESTS(QAUTLRA_CTP_CALLBACK)
#undef QAUTLRA_CTP_CALLBACK
    default: return -1;
  }
}

int market_callback(const Release& r, std::uint16_t kind) {
  switch (kind) {
    case kReqUserLogin: return r.at(MdSpi::OnRspUserLogin);
    case kReqUserLogout: return r.at(MdSpi::OnRspUserLogout);
    case kSubscribe: return r.at(MdSpi::OnRspSubMarketData);
    case kUnsubscribe: return r.at(MdSpi::OnRspUnSubMarketData);
    default: return -1;
  }
}

void Api::frame(const Head& head, const char* text, char* record, std::size_t bytes) {
  // Frames follow each other unaligned; the program reads doubles.
  alignas(16) char copy[kRecordMax];
  void* data = nullptr;
  if (bytes > 0 && bytes <= sizeof copy) {
    std::memcpy(copy, record, bytes);
    data = copy;
  }
  RspInfo info{};
  info.ErrorID = head.error;
  std::memcpy(info.ErrorMsg, text, std::min<std::size_t>(head.text_bytes, sizeof info.ErrorMsg - 1));
  RspInfo* answer = (head.flags & kAnswer) != 0 ? &info : nullptr;
  const bool last = (head.flags & kLast) != 0;
  if (head.kind == kReqUserLogin && head.error == 0 && bytes >= sizeof(RspUserLogin::TradingDay)) {
    std::memcpy(trading_day, copy, sizeof trading_day - 1);  // TradingDay is the record's first field
  }
  switch (head.kind) {
    case kError:
      call(place(MdSpi::OnRspError, TraderSpi::OnRspError), answer, head.request, last);
      return;
    case kTick:
      if (market && data != nullptr) call(release.at(MdSpi::OnRtnDepthMarketData), data);
      return;
    case kTickRepeat: {
      if (!market || bytes < sizeof(DepthMarketData)) return;
      auto* tick = reinterpret_cast<DepthMarketData*>(copy);
      for (std::int32_t i = 0; i < head.request; ++i, ++tick->Volume) {
        call(release.at(MdSpi::OnRtnDepthMarketData), static_cast<void*>(tick));
      }
      return;
    }
    default: break;
  }
  if (market) {
    call(market_callback(release, head.kind), data, answer, head.request, last);
    return;
  }
  switch (head.kind) {
    case kRtnOrder: call(release.at(TraderSpi::OnRtnOrder), data); return;
    case kRtnTrade: call(release.at(TraderSpi::OnRtnTrade), data); return;
    case kErrInsert: call(release.at(TraderSpi::OnErrRtnOrderInsert), data, answer); return;
    case kErrAction: call(release.at(TraderSpi::OnErrRtnOrderAction), data, answer); return;
    case kInstrumentStatus: call(release.at(TraderSpi::OnRtnInstrumentStatus), data); return;
    default: call(trader_callback(release, head.kind), data, answer, head.request, last);
  }
}

void* make(bool market, bool newer_factory, const char* flow) {
  auto* api = new Api(market, caller_release(market, newer_factory), flow);
  return new Handle{api->table + 2, api};
}

const char* version(bool market) {
  static thread_local char text[2][48];
  std::snprintf(text[market], sizeof text[market], "v%s_qautlra_sim", caller_release(market, true).name);
  return text[market];
}

}  // namespace

#define QAUTLRA_CTP_EXPORT(name) __asm__(name) __attribute__((visibility("default")))

extern "C" {
void* md_factory_4(const char*, bool, bool, bool) QAUTLRA_CTP_EXPORT("_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbbb");
void* md_factory_3(const char*, bool, bool) QAUTLRA_CTP_EXPORT("_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb");
void* td_factory_2(const char*, bool) QAUTLRA_CTP_EXPORT("_ZN19CThostFtdcTraderApi19CreateFtdcTraderApiEPKcb");
void* td_factory_1(const char*) QAUTLRA_CTP_EXPORT("_ZN19CThostFtdcTraderApi19CreateFtdcTraderApiEPKc");
const char* md_version() QAUTLRA_CTP_EXPORT("_ZN15CThostFtdcMdApi13GetApiVersionEv");
const char* td_version() QAUTLRA_CTP_EXPORT("_ZN19CThostFtdcTraderApi13GetApiVersionEv");

void* md_factory_4(const char* flow, bool, bool, bool) { return make(true, true, flow); }
void* md_factory_3(const char* flow, bool, bool) { return make(true, false, flow); }
void* td_factory_2(const char* flow, bool) { return make(false, true, flow); }
void* td_factory_1(const char* flow) { return make(false, false, flow); }
const char* md_version() { return version(true); }
const char* td_version() { return version(false); }
}

}  // namespace qautlra::ctp
