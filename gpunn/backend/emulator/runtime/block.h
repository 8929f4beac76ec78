// One block of CUDA threads: its fibers, the order in which they run, and its barriers.
#pragma once
#include <atomic>
#include <cstdint>
#include <random>
#include <vector>

#include "asynchronous_copies.h"
#include "fiber.h"
#include "findings.h"
#include "global_memory.h"
#include "interface.h"
#include "library.h"
#include "recorder.h"
#include "shared_memory.h"

namespace emulator {

const char* name_of(WarpOperation operation);

enum class State : uint8_t { not_started, ready, at_block_barrier, at_warp_operation, finished };

struct Thread {
  ThreadIdentity identity;
  State state;
  char* stack;
  void* stack_pointer;
  Location waits_at;
  const WarpRequest* warp_request;
};

// Lanes as bits. `phase` counts the calls of __syncwarp by the whole warp.
struct Warp {
  unsigned present, waiting, finished;
  uint32_t phase;
};

// What all blocks of a launch share.
struct Launch {
  const LaunchRequest& request;
  GlobalMemory& global_memory;
  Findings& findings;
  std::atomic<bool>& stopped;
  Recording* recording;  // null unless addresses are recorded
};

class Block {
 public:
  Block(const Launch& launch, StackPool& stacks);

  // The block that runs on this OS thread; null outside a kernel.
  static Block* running();

  void run(uint64_t number);

  // Called from inside the kernel's threads.
  int barrier(Vote vote, int predicate, Location where);
  void warp_operation(const WarpRequest& request);
  void copy_async(const Copy& copy);
  void commit_copies();
  void wait_for_copies(uint32_t groups_left);
  void check_access(uintptr_t address, size_t bytes, bool write, uintptr_t code_address);
  void check_atomic(uintptr_t address, size_t bytes, Location where);
  unsigned char* dynamic_shared_memory() const { return shared_memory_.dynamic(); }
  std::string current_thread_name() const;
  Findings& findings() const { return launch_.findings; }
  bool checks() const { return launch_.request.check != 0; }
  // Ends the whole launch: what the thread was about to do would harm the process, or can never end.
  [[noreturn]] void stop();
  uintptr_t offset_in_library(uintptr_t code_address) const { return code_address - library_.base; }

 private:
  static void thread_main();
  void begin(uint64_t number);
  bool resume_ready_threads();
  void resume(int thread);
  void wait(State state, Location where);
  void finish_thread();
  void release_barrier();
  void report_deadlock() const;
  void check(const Access& access);
  void check_and_record(const Access& access);
  void record(const Access& access);
  // Whether threadIdx and its like are read from there.
  bool identifies_thread(uintptr_t address) const;
  bool on_any_stack(uintptr_t address) const;
  void perform(unsigned lanes, int first_thread);
  void vote(unsigned lanes, int first_thread);
  void shuffle(unsigned lanes, int first_thread);
  void require_whole_warp(unsigned lanes, const WarpRequest& request);
  void load_matrices(int first_thread);
  void check_matrix_row(const WarpRequest& request, int row, int first_thread);
  void multiply_matrices(int first_thread);
  const WarpRequest& request_of(int thread) const { return *threads_[thread].warp_request; }
  void check_copy(const Copy& copy);
  void report_copies_under_way();
  Phase phase_of(int thread) const { return {phase_, warps_[thread / WARP_LANES].phase}; }

  Launch launch_;
  Library library_;
  SharedMemory shared_memory_;
  StackPool& stacks_;
  std::vector<Thread> threads_;
  std::vector<Touch> touches_;
  std::vector<AsynchronousCopies> copies_;  // of each thread
  std::vector<Warp> warps_;
  std::vector<int> order_;
  std::mt19937_64 random_;
  void* scheduler_stack_pointer_ = nullptr;
  uint64_t number_ = 0;
  int current_ = 0;
  int unfinished_ = 0;
  int arrived_ = 0;
  int vote_result_ = 0;    // of the barrier that fills
  int released_vote_ = 0;  // of the last one that opened: threads read it when they run again
  Location barrier_location_{};
  uint32_t phase_ = 0;
};

}  // namespace emulator
