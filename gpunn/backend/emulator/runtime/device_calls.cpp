// The functions behind cuda_host.h that need the running block: barriers, warp operations, atomics.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "block.h"

namespace {

template <class Word>
Word apply(emulator::AtomicOperation operation, Word old, Word value, Word compare) {
  using Floating = std::conditional_t<sizeof(Word) == 4, float, double>;
  using Signed = std::make_signed_t<Word>;
  switch (operation) {
    case emulator::AtomicOperation::add: return old + value;
    case emulator::AtomicOperation::bitwise_and: return old & value;
    case emulator::AtomicOperation::bitwise_or: return old | value;
    case emulator::AtomicOperation::minimum_signed: return std::min<Signed>(old, value);
    case emulator::AtomicOperation::minimum_unsigned: return std::min(old, value);
    case emulator::AtomicOperation::maximum_signed: return std::max<Signed>(old, value);
    case emulator::AtomicOperation::maximum_unsigned: return std::max(old, value);
    case emulator::AtomicOperation::exchange: return value;
    case emulator::AtomicOperation::compare_exchange: return old == compare ? value : old;
    case emulator::AtomicOperation::add_floating: {
      Floating a, b;
      std::memcpy(&a, &old, sizeof a);
      std::memcpy(&b, &value, sizeof b);
      a += b;
      Word sum;
      std::memcpy(&sum, &a, sizeof sum);
      return sum;
    }
  }
  return old;
}

// Other OS threads run other blocks of the same grid, so the operation must be atomic here, too.
template <class Word>
Word atomically(emulator::AtomicOperation operation, void* target, Word value, Word compare,
                emulator::Location where) {
  emulator::Block* block = emulator::Block::running();
  if (block->checks()) block->check_atomic(reinterpret_cast<uintptr_t>(target), sizeof(Word), where);
  Word* word = static_cast<Word*>(target);
  Word old = __atomic_load_n(word, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(word, &old, apply(operation, old, value, compare), false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
  return old;
}

}  // namespace

extern "C" {

int emulator_block_barrier(emulator::Vote vote, int predicate, emulator::Location where) {
  return emulator::Block::running()->barrier(vote, predicate, where);
}

void emulator_warp_operation(const emulator::WarpRequest* request) {
  emulator::Block::running()->warp_operation(*request);
}

unsigned char* emulator_dynamic_shared_memory() { return emulator::Block::running()->dynamic_shared_memory(); }

uint32_t emulator_atomic_32(emulator::AtomicOperation operation, void* target, uint32_t value, uint32_t compare,
                            emulator::Location where) {
  return atomically<uint32_t>(operation, target, value, compare, where);
}

uint64_t emulator_atomic_64(emulator::AtomicOperation operation, void* target, uint64_t value, uint64_t compare,
                            emulator::Location where) {
  return atomically<uint64_t>(operation, target, value, compare, where);
}

void emulator_copy_async(void* shared, const void* global, size_t bytes, bool exists, emulator::Location where) {
  emulator::Block::running()->copy_async({shared, global, bytes, exists, 0, where});
}

void emulator_copy_async_commit() { emulator::Block::running()->commit_copies(); }

void emulator_copy_async_wait(unsigned groups_left) { emulator::Block::running()->wait_for_copies(groups_left); }

long long emulator_clock() {
  static std::atomic<long long> looks{0};
  return ++looks;
}

void emulator_assertion_failed(const char* condition, emulator::Location where) {
  emulator::Block* block = emulator::Block::running();
  block->findings().add(emulator::format("assert(%s) failed", condition), emulator::Place(where),
                        block->current_thread_name());
  block->stop();
}
}
