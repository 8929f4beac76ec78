// Every load and store of a kernel in the check build: g++ inserts the calls below (-fsanitize=thread and
// -fsanitize=bounds-strict), and they are answered here instead of by the sanitizers' own libraries.
#include <sys/types.h>

#include "block.h"

namespace emulator {

void Block::check_access(uintptr_t address, size_t bytes, bool write, uintptr_t code_address) {
  const uintptr_t stack = reinterpret_cast<uintptr_t>(threads_[current_].stack);
  if (address - stack < STACK_BYTES || identifies_thread(address)) return;
  check_and_record({address, bytes, write, false, current_, number_, code_address - library_.base, {}});
}

void Block::check_atomic(uintptr_t address, size_t bytes, Location where) {
  check_and_record({address, bytes, true, true, current_, number_, 0, where});
}

void Block::check_and_record(const Access& access) {
  check(access);
  if (launch_.recording) record(access);
}

void Block::record(const Access& access) {
  const bool is_shared = shared_memory_.contains(access.address);
  const int buffer = is_shared ? Touch::SHARED : launch_.global_memory.buffer_of(access);
  if (!is_shared && buffer < 0) return;  // a constant of the program
  const uint64_t place = is_shared ? shared_memory_.offset_of(access.address) : access.address;
  touches_.push_back({access.code_address, access.where, place, static_cast<uint32_t>(access.bytes),
                      static_cast<int16_t>(buffer), static_cast<uint16_t>(access.thread), access.write, 0});
}

void Block::check(const Access& access) {
  bool allowed = true;
  if (shared_memory_.contains(access.address)) {
    allowed = shared_memory_.check(access, phase_of(access.thread), findings());
  } else if (launch_.global_memory.contains(access.address)) {
    allowed = launch_.global_memory.check(access, findings());
  } else if (on_any_stack(access.address)) {
    findings().add(format("%s of another thread's local variable", access.verb()), access.place(),
                   current_thread_name());
  } else if (library_.contains(access.address) && !access.write) {
    return;  // a constant of the program
  } else {
    findings().add(format("%s out of bounds", access.verb()), access.place(),
                   format("%zu bytes %s, %s", access.bytes,
                          launch_.global_memory.nearest(access.address).c_str(), current_thread_name().c_str()));
    allowed = false;
  }
  if (!allowed) stop();
}

bool Block::identifies_thread(uintptr_t address) const {
  return address - reinterpret_cast<uintptr_t>(&threads_[current_].identity) < sizeof(ThreadIdentity) ||
         address - reinterpret_cast<uintptr_t>(&emulator_current_thread) < sizeof(void*);
}

bool Block::on_any_stack(uintptr_t address) const {
  for (const Thread& thread : threads_)
    if (thread.stack && address - reinterpret_cast<uintptr_t>(thread.stack) < STACK_BYTES) return true;
  return false;
}

}  // namespace emulator

namespace {

void check(const void* pointer, size_t bytes, bool write, void* return_address) {
  emulator::Block* block = emulator::Block::running();
  // The instruction before the return address is the call, which carries the line of the access.
  if (block)
    block->check_access(reinterpret_cast<uintptr_t>(pointer), bytes, write,
                        reinterpret_cast<uintptr_t>(return_address) - 1);
}

}  // namespace

// The names and layouts are those that g++ calls.
extern "C" {

#define GPUNN_CHECKED_SIZE(bytes)                                                                               \
  void __tsan_read##bytes(void* p) { check(p, bytes, false, __builtin_return_address(0)); }                     \
  void __tsan_write##bytes(void* p) { check(p, bytes, true, __builtin_return_address(0)); }                     \
  void __tsan_unaligned_read##bytes(void* p) { check(p, bytes, false, __builtin_return_address(0)); }           \
  void __tsan_unaligned_write##bytes(void* p) { check(p, bytes, true, __builtin_return_address(0)); }
GPUNN_CHECKED_SIZE(1)
GPUNN_CHECKED_SIZE(2)
GPUNN_CHECKED_SIZE(4)
GPUNN_CHECKED_SIZE(8)
GPUNN_CHECKED_SIZE(16)

void __tsan_read_range(void* p, size_t bytes) { check(p, bytes, false, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t bytes) { check(p, bytes, true, __builtin_return_address(0)); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

struct ArrayIndexError {
  const char* file;
  uint32_t line, column;
};

void __ubsan_handle_out_of_bounds(const ArrayIndexError* error, uintptr_t index) {
  emulator::Block* block = emulator::Block::running();
  block->findings().add("index outside its array", emulator::Place({error->file, static_cast<int>(error->line)}),
                        emulator::format("index %zd, %s", static_cast<ssize_t>(index),
                                         block->current_thread_name().c_str()));
  block->stop();
}
}
