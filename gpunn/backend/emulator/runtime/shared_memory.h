// The shared memory of the block that an OS thread runs, and the record that finds races in it.
#pragma once
#include <cstdint>
#include <vector>

#include "library.h"
#include "memory_access.h"

namespace emulator {

// How far a thread's block and its warp have come: barriers passed, and calls of __syncwarp by the whole warp.
// Two accesses of different threads are ordered when a barrier lies between, or a __syncwarp in one warp.
struct Phase {
  uint32_t block;
  uint32_t warp;
};

class SharedMemory {
 public:
  SharedMemory(const Library& library, size_t dynamic_bytes, bool check);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Fills all of it with NaN bit patterns, so that nothing of an earlier block looks like data.
  void begin_block();
  unsigned char* dynamic() const { return dynamic_.start; }
  bool contains(uintptr_t address) const { return lies_in(dynamic_, address) || lies_in(variables_, address); }

  // From the start of the dynamic or of the static shared memory, whichever the address lies in.
  uint64_t offset_of(uintptr_t address) { return address - reinterpret_cast<uintptr_t>(region_of(address).start); }

  // False when the access must not be carried out.
  bool check(const Access& access, const Phase& phase, Findings& findings);
  // The thread of an asynchronous write has waited for it.
  void finish_copy(const Access& copy, const Phase& phase);

 private:
  // What happened to one byte. Of many readers between two barriers the last one is kept, and whether there were
  // others: that is all a later writer needs to know.
  struct ByteRecord {
    uint32_t write_phase, write_warp_phase;
    uint32_t read_phase, read_warp_phase;
    Origin write_origin, read_origin;
    uint16_t writer, reader;
    bool written, written_atomically, copy_pending, read_by_other_lanes, read_by_other_warps;
  };
  struct Region {
    unsigned char* start;
    size_t bytes;
    std::vector<ByteRecord> records;
  };
  struct Conflict {
    const char* kind = nullptr;
    int other_thread = 0;
    Origin other_origin = {};
  };

  static bool lies_in(const Region& region, uintptr_t address);
  Region& region_of(uintptr_t address) { return lies_in(dynamic_, address) ? dynamic_ : variables_; }
  static void report_pending(const ByteRecord& record, const Access& access, Findings& findings);
  static Conflict record_read(ByteRecord& record, const Access& access, const Phase& phase);
  static Conflict record_write(ByteRecord& record, const Access& access, const Phase& phase);
  static bool unordered_write(const ByteRecord& record, const Access& access, const Phase& phase);

  Region dynamic_, variables_;
  bool check_;
};

}  // namespace emulator
