// Fibers: stacks that one OS thread switches between. Every CUDA thread is one, so that it can stop inside a
// barrier and go on later.
#pragma once
#include <cstddef>
#include <vector>

namespace emulator {

constexpr size_t STACK_BYTES = 256 << 10;

// Saves the running stack in *save and goes on where `resume` was saved, or at its entry when it is new.
extern "C" void emulator_switch_stack(void** save, void* resume);

// The stack pointer of a fiber that will begin with entry(), which must never return.
void* prepare_stack(char* stack, void (*entry)());

// Stacks with an unmapped page below each, so that an overflow faults instead of spreading.
// The one that was given back last is handed out first: threads that never wait all run on one warm stack.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  char* take();
  void give_back(char* stack) { free_.push_back(stack); }

 private:
  std::vector<char*> free_, all_;
};

}  // namespace emulator
