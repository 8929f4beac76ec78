// What is wrong with a kernel: collected from all OS threads of a launch, each place once.
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "interface.h"

namespace emulator {

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

// Where in the kernel: a line that is known, or a machine address that Python turns into one with addr2line.
class Place {
 public:
  explicit Place(Location where);
  explicit Place(uintptr_t address_in_library);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class Findings {
 public:
  // `kind` and the place tell findings apart; `detail` is kept of the first one only.
  void add(const std::string& kind, const Place& place, const std::string& detail);
  int count() const { return static_cast<int>(order_.size()); }
  std::string report() const;

 private:
  struct Finding {
    std::string detail;
    long times = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Finding> findings_;
  std::vector<std::string> order_;
};

}  // namespace emulator
