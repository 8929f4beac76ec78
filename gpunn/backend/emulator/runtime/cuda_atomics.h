// Atomics, for the types that CUDA has them for. Each returns what was there before.
#pragma once
#include "cuda_maths.h"
#include "interface.h"

namespace emulator {

template <class T>
T atomic(AtomicOperation operation, T* target, T value, Location where, T compare = {}) {
  if constexpr (sizeof(T) == 4)
    return same_bits<T>(emulator_atomic_32(operation, target, same_bits<uint32_t>(value),
                                           same_bits<uint32_t>(compare), where));
  else
    return same_bits<T>(emulator_atomic_64(operation, target, same_bits<uint64_t>(value),
                                           same_bits<uint64_t>(compare), where));
}

}  // namespace emulator

#define EMULATOR_ATOMIC(name, operation, type)                                                   \
  inline type name(type* target, type value, EMULATOR_HERE) {                                    \
    return emulator::atomic(emulator::AtomicOperation::operation, target, value, where); \
  }
#define EMULATOR_ATOMIC_OF_BITS(name, operation)   \
  EMULATOR_ATOMIC(name, operation, int)            \
  EMULATOR_ATOMIC(name, operation, unsigned)       \
  EMULATOR_ATOMIC(name, operation, unsigned long long)

EMULATOR_ATOMIC_OF_BITS(atomicAdd, add)
EMULATOR_ATOMIC(atomicAdd, add_floating, float)
EMULATOR_ATOMIC(atomicAdd, add_floating, double)
EMULATOR_ATOMIC_OF_BITS(atomicAnd, bitwise_and)
EMULATOR_ATOMIC_OF_BITS(atomicOr, bitwise_or)
EMULATOR_ATOMIC(atomicMin, minimum_signed, int)
EMULATOR_ATOMIC(atomicMin, minimum_unsigned, unsigned)
EMULATOR_ATOMIC(atomicMin, minimum_unsigned, unsigned long long)
EMULATOR_ATOMIC(atomicMax, maximum_signed, int)
EMULATOR_ATOMIC(atomicMax, maximum_unsigned, unsigned)
EMULATOR_ATOMIC(atomicMax, maximum_unsigned, unsigned long long)
EMULATOR_ATOMIC_OF_BITS(atomicExch, exchange)
EMULATOR_ATOMIC(atomicExch, exchange, float)

#undef EMULATOR_ATOMIC
#undef EMULATOR_ATOMIC_OF_BITS

#define EMULATOR_COMPARE_AND_SWAP(type)                                                                     \
  inline type atomicCAS(type* target, type compare, type value, EMULATOR_HERE) {                            \
    return emulator::atomic(emulator::AtomicOperation::compare_exchange, target, value, where, compare); \
  }
EMULATOR_COMPARE_AND_SWAP(int)
EMULATOR_COMPARE_AND_SWAP(unsigned)
EMULATOR_COMPARE_AND_SWAP(unsigned long long)
#undef EMULATOR_COMPARE_AND_SWAP
