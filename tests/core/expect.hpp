// The least a C++ test program needs: named cases, checks that say where and with what values, an exit code.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace expect {

struct Case {
  const char* name;
  std::function<void()> run;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int& failures() {
  static int n = 0;
  return n;
}
struct Register {
  Register(const char* name, std::function<void()> run) { cases().push_back({name, std::move(run)}); }
};

template <class T>
std::string show(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

template <class A, class B>
void equal(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  ++failures();
  std::fprintf(stderr, "%s:%d: %s: %s != %s\n", file, line, text, show(a).c_str(), show(b).c_str());
}
inline void that(bool ok, const char* text, const char* file, int line) {
  if (ok) return;
  ++failures();
  std::fprintf(stderr, "%s:%d: not true: %s\n", file, line, text);
}

// A directory of its own, gone with the object.
struct TemporaryDirectory {
  std::string path;
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qautlra-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

inline int run_all(int argc, char** argv) {
  for (const Case& c : cases()) {
    if (argc > 1 && std::string(c.name).find(argv[1]) == std::string::npos) continue;
    const int before = failures();
    c.run();
    std::printf("%s %s\n", failures() == before ? "ok  " : "FAIL", c.name);
  }
  return failures() == 0 ? 0 : 1;
}

}  // namespace expect

#define TEST_CASE(name)                                         \
  static void test_##name();                                    \
  static const expect::Register register_##name{#name, test_##name}; \
  static void test_##name()
#define EXPECT(x) expect::that(static_cast<bool>(x), #x, __FILE__, __LINE__)
#define EXPECT_EQ(a, b) expect::equal((a), (b), #a " == " #b, __FILE__, __LINE__)
