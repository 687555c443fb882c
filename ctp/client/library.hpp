// A CTP library opened at run time: its release, checked against our table, and its factory.
#pragma once

#include <stdexcept>
#include <string>

#include "facts.hpp"

namespace qautlra::ctp {

// A sentence for people: the library is missing, is none, or of a release that is not in the table.
struct LibraryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Object {  // an Api object of the library's: the first word is its v-table
  void** table;
};

// Owner: whoever made it; never closed, because the vendor's code cannot be unloaded safely.
class Library {
 public:
  Library(const std::string& path, bool market);

  // `flow` is a directory that exists, ended by a slash, of this object alone. `production` exists since 6.7.11.
  Object* create(const std::string& flow, bool production) const;

  const std::string& path() const { return path_; }
  const std::string& version() const { return version_; }
  const Release& release() const { return *release_; }
  bool market() const { return market_; }
  bool simulated() const { return version_.find("_qautlra_sim") != std::string::npos; }
  int slots() const { return slots_; }  // of the interface class as the library exports it, -1 if it does not

 private:
  std::string path_, version_;
  bool market_;
  const Release* release_ = nullptr;
  int slots_ = -1;
  void* factory_ = nullptr;
  bool newer_factory_ = false;
};

template <class R, class... A>
R call(Object* object, int slot, A... arguments) {
  return reinterpret_cast<R (*)(Object*, A...)>(object->table[slot])(object, arguments...);
}

}  // namespace qautlra::ctp
