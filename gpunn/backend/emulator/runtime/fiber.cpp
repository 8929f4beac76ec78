#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#error "the emulator switches stacks with x86-64 instructions"
#endif

// The System V calling convention keeps these six registers and the stack across a call; the rest is the caller's.
asm(R"(
  .text
  .globl emulator_switch_stack
  .hidden emulator_switch_stack
  .type emulator_switch_stack, @function
emulator_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emulator_switch_stack, .-emulator_switch_stack
)");

namespace emulator {

namespace {
constexpr size_t GUARD_BYTES = 4096;
constexpr int SAVED_REGISTERS = 6;
}  // namespace

void* prepare_stack(char* stack, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + STACK_BYTES);
  *--top = nullptr;  // where a return address of entry() would lie: keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < SAVED_REGISTERS; ++i) *--top = nullptr;
  return top;
}

char* StackPool::take() {
  if (free_.empty()) {
    void* mapping = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    mprotect(mapping, GUARD_BYTES, PROT_NONE);
    all_.push_back(static_cast<char*>(mapping) + GUARD_BYTES);
    free_.push_back(all_.back());
  }
  char* stack = free_.back();
  free_.pop_back();
  return stack;
}

StackPool::~StackPool() {
  for (char* stack : all_) munmap(stack - GUARD_BYTES, GUARD_BYTES + STACK_BYTES);
}

}  // namespace emulator
