// The arrays that a launch was given, and the record of who wrote which element.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory_access.h"

namespace emulator {

class GlobalMemory {
 public:
  GlobalMemory(const Buffer* buffers, uint32_t count, bool check);

  // False when the access must not be carried out.
  bool check(const Access& access, Findings& findings);
  bool contains(uintptr_t address) const;
  // Number of the array among the buffers of the launch; -1 when the address lies in none.
  int buffer_of(const Access& access) const;
  // After the launch: elements of outputs that nobody wrote.
  void check_outputs(Findings& findings) const;
  // Which array the address just misses, for the text of a finding.
  std::string nearest(uintptr_t address) const;

 private:
  using Writer = std::atomic<uint64_t>;  // 0: nobody; otherwise 1 + block * 1024 + thread
  struct Array {
    Buffer buffer;
    std::unique_ptr<Writer[]> writers;  // one an element; null for arrays that are only read
    size_t elements;
  };

  static bool holds(const Buffer& buffer, uintptr_t address);
  static bool holds_all(const Buffer& buffer, uintptr_t address, size_t bytes);
  const Array* array_for(const Access& access) const;
  void record_write(const Array& array, const Access& access, Findings& findings);
  void check_read(const Array& array, const Access& access, Findings& findings);

  std::vector<Array> arrays_;
};

}  // namespace emulator
