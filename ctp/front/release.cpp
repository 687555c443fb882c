#include "release.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace qautlra::ctp {
namespace {

constexpr char kMdVersion[] = "_ZN15CThostFtdcMdApi13GetApiVersionEv";
constexpr char kTdVersion[] = "_ZN19CThostFtdcTraderApi13GetApiVersionEv";

const void* own_base() {
  Dl_info info;
  return dladdr(reinterpret_cast<const void*>(&release_named), &info) != 0 ? info.dli_fbase : nullptr;
}

struct Wanted {
  const char* file;    // what a real library's file name holds
  const char* symbol;  // its GetApiVersion
  std::string version;
};

int look_at(dl_phdr_info* library, std::size_t, void* state) {
  auto& wanted = *static_cast<Wanted*>(state);
  if (library->dlpi_name == nullptr || std::strstr(library->dlpi_name, wanted.file) == nullptr) return 0;
  void* handle = dlopen(library->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
  if (handle == nullptr) return 0;
  Dl_info found;
  void* function = dlsym(handle, wanted.symbol);
  if (function != nullptr && dladdr(function, &found) != 0 && found.dli_fbase != own_base()) {
    wanted.version = reinterpret_cast<const char* (*)()>(function)();
  }
  dlclose(handle);
  return wanted.version.empty() ? 0 : 1;
}

std::string side_file() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&release_named), &info) == 0) return {};
  std::FILE* file = std::fopen((std::string(info.dli_fname) + ".abi").c_str(), "r");
  if (file == nullptr) return {};
  char text[32] = "";
  const bool read = std::fscanf(file, "%31s", text) == 1;
  std::fclose(file);
  return read ? text : "";
}

}  // namespace

const Release* release_named(std::string_view version) {
  if (!version.empty() && version.front() == 'v') version.remove_prefix(1);
  // 6.7.11_20250617 16:22:00.10369; 6.7.9_P1_20250319 ...; our own 6.7.11_qautlra_sim
  const std::size_t rest = std::min(version.find("_20"), version.find("_qautlra"));
  if (rest != std::string_view::npos) version = version.substr(0, rest);
  for (const Release& release : kReleases)
    if (version == release.name) return &release;
  return nullptr;
}

const Release& caller_release(bool market, bool newer_factory) {
  if (const char* wish = std::getenv("QAUTLRA__CTP__ABI"); wish != nullptr && *wish != '\0') {
    if (const Release* release = release_named(wish)) return *release;
    std::fprintf(stderr, "qautlra: QAUTLRA__CTP__ABI names CTP %.32s, which is not in the table\n", wish);
  }
  Wanted wanted{market ? "thostmduserapi" : "thosttraderapi", market ? kMdVersion : kTdVersion, {}};
  dl_iterate_phdr(look_at, &wanted);
  if (!wanted.version.empty()) {
    if (const Release* release = release_named(wanted.version)) return *release;
    std::fprintf(stderr, "qautlra: this program brings CTP %.40s, which is not in the table; its calls may fail\n",
                 wanted.version.c_str());
  }
  if (const Release* release = release_named(side_file())) return *release;
  return *release_named(newer_factory ? "6.7.11" : "6.7.2");
}

}  // namespace qautlra::ctp
