// Which addresses the lanes of a warp touch together: what a profiler of a GPU counts that needs no time.
//
// The n-th access of each lane at one instruction makes one request of its warp. Where lanes go different ways around a
// loop, that may join accesses that a GPU makes apart, or the other way round.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "interface.h"
#include "memory_access.h"

namespace emulator {

// One access of one lane.
struct Touch {
  uintptr_t code_address;  // 0 when `where` is known
  Location where;
  uint64_t place;  // in shared memory its offset, in global memory its address
  uint32_t bytes;
  int16_t buffer;  // its number in the launch, or SHARED
  uint16_t thread;
  bool write;
  uint32_t time;  // how often the thread was at this instruction before

  static constexpr int16_t SHARED = -1;
};

// What all blocks of a launch touched.
class Recording {
 public:
  Recording(const Buffer* buffers, uint64_t count);
  // Takes the touches of one block, in the order of each thread.
  void add(std::vector<Touch>& touches);
  const std::vector<RecordedAccess>& accesses();
  const std::vector<RecordedBuffer>& buffers();

 private:
  using Instruction = std::tuple<uintptr_t, const char*, int, bool, bool, uint32_t>;

  static Instruction instruction_of(const Touch& touch);
  void add_request(const Touch* first, const Touch* last);
  void mark_bytes(const Touch& touch);

  std::mutex mutex_;
  const Buffer* launch_buffers_;
  std::map<Instruction, RecordedAccess> by_instruction_;
  std::vector<RecordedAccess> accesses_;
  std::vector<RecordedBuffer> buffers_;
  std::vector<std::vector<uint8_t>> touched_;  // for each byte of each buffer: READ, WRITTEN
};

}  // namespace emulator
