#include "library.hpp"

#include <dlfcn.h>
#include <link.h>

#include "release.hpp"

namespace qautlra::ctp {
namespace {

struct Names {
  const char *version, *table, *newer, *older;
};
constexpr Names kMarket{"_ZN15CThostFtdcMdApi13GetApiVersionEv", "_ZTV15CThostFtdcMdApi",
                        "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbbb",
                        "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb"};
constexpr Names kTrader{"_ZN19CThostFtdcTraderApi13GetApiVersionEv", "_ZTV19CThostFtdcTraderApi",
                        "_ZN19CThostFtdcTraderApi19CreateFtdcTraderApiEPKcb",
                        "_ZN19CThostFtdcTraderApi19CreateFtdcTraderApiEPKc"};

// How many functions the exported v-table of the interface class has: the library's own word on its ABI.
int exported_slots(void* handle, const char* symbol) {
  void* table = dlsym(handle, symbol);
  Dl_info info;
  ElfW(Sym)* entry = nullptr;
  if (table == nullptr || dladdr1(table, &info, reinterpret_cast<void**>(&entry), RTLD_DL_SYMENT) == 0) return -1;
  return entry == nullptr ? -1 : static_cast<int>(entry->st_size / sizeof(void*)) - 2;
}

std::string known_releases() {
  std::string out;
  for (const Release& release : kReleases) out += (out.empty() ? "" : ", ") + std::string(release.name);
  return out;
}

}  // namespace

Library::Library(const std::string& path, bool market) : path_(path), market_(market) {
  const Names& names = market ? kMarket : kTrader;
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw LibraryError(std::string("the CTP library cannot be loaded: ") + dlerror());
  void* version = dlsym(handle, names.version);
  if (version == nullptr) {
    throw LibraryError(path + " is no CTP " + (market ? "market" : "trader") + " library: it has no GetApiVersion");
  }
  version_ = reinterpret_cast<const char* (*)()>(version)();
  release_ = release_named(version_);
  if (release_ == nullptr) {
    throw LibraryError("CTP " + version_ + " is a release this build does not know; it knows " + known_releases() +
                       ". A wrong guess would mix up callbacks, so it is not used: " + path);
  }
  slots_ = exported_slots(handle, names.table);
  const int expected = market ? release_->slots.MdApi : release_->slots.TraderApi;
  if (slots_ != expected && !simulated()) {
    throw LibraryError("CTP " + version_ + " has " + std::to_string(slots_) + " functions where release " +
                       release_->name + " has " + std::to_string(expected) + ": not the library it says it is: " + path);
  }
  factory_ = dlsym(handle, names.newer);
  newer_factory_ = factory_ != nullptr;
  if (factory_ == nullptr) factory_ = dlsym(handle, names.older);
  if (factory_ == nullptr) throw LibraryError(path + " has no factory for its Api objects");
}

Object* Library::create(const std::string& flow, bool production) const {
  const char* where = flow.c_str();
  void* made = nullptr;
  if (market_) {
    made = newer_factory_ ? reinterpret_cast<void* (*)(const char*, bool, bool, bool)>(factory_)(where, false, false,
                                                                                                 production)
                          : reinterpret_cast<void* (*)(const char*, bool, bool)>(factory_)(where, false, false);
  } else {
    made = newer_factory_ ? reinterpret_cast<void* (*)(const char*, bool)>(factory_)(where, production)
                          : reinterpret_cast<void* (*)(const char*)>(factory_)(where);
  }
  if (made == nullptr) throw LibraryError("the CTP library made no Api object");
  return static_cast<Object*>(made);
}

}  // namespace qautlra::ctp
