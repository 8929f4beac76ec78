// One access of a CUDA thread to memory, as the checks see it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "findings.h"

namespace emulator {

// Where an access came from, in the few bytes that a record can spare.
struct Origin {
  uint32_t code_address;
  int line;

  std::string text() const { return code_address ? Place(code_address).text() : format("line %d", line); }
};

struct Access {
  uintptr_t address;
  size_t bytes;
  bool write;
  bool atomic;
  int thread;              // number in its block
  uint64_t block;          // number in the grid
  uintptr_t code_address;  // of the instruction, counted from the library's base; 0 when the line is known
  Location where;
  bool asynchronous = false;  // a copy that another thread's read, or an early one of its own, may overtake

  const char* verb() const { return write ? "write" : "read"; }
  Origin origin() const { return {static_cast<uint32_t>(code_address), where.line}; }
  Place place() const { return code_address ? Place(code_address) : Place(where); }
  bool aligned() const {
    const bool has_alignment = (bytes & (bytes - 1)) == 0;
    return !has_alignment || address % bytes == 0;
  }
};

}  // namespace emulator
