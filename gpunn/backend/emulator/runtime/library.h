// Where the library of a kernel lies in memory.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator {

// `shared_variables` is the calling OS thread's copy of the library's thread-local variables, which are what the
// kernel's static __shared__ variables become: see cuda_host.h.
struct Library {
  uintptr_t base = 0, low = 0, high = 0;
  unsigned char* shared_variables = nullptr;
  size_t shared_variables_bytes = 0;

  bool contains(uintptr_t address) const { return address >= low && address < high; }
};

Library find_library(const void* function);

}  // namespace emulator
