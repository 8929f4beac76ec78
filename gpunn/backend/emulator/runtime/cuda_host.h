// CUDA C++ for g++: what a kernel's source sees in the emulator. The machinery is in the runtime's other files.
#pragma once
#include <type_traits>
#include <utility>

#include "cuda_maths.h"
#include "cuda_vectors.h"
#include "interface.h"

#define GPUNN_EMULATOR 1

// Qualifiers. An OS thread runs one block at a time, so a block's shared variables are the thread's own.
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static __thread
#ifdef GPUNN_EMULATOR_COVERAGE  // gcov takes each inlined copy of a branch for a branch of its own
#define __forceinline__ inline
#else
#define __forceinline__ inline __attribute__((always_inline))
#endif
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __restrict__ __restrict

// Built-in variables.
#define threadIdx (emulator_current_thread->thread)
#define blockIdx (emulator_current_thread->block)
#define blockDim (emulator_current_thread->block_size)
#define gridDim (emulator_current_thread->grid_size)
#define warpSize 32

// Barriers. EMULATOR_HERE as a default argument is the line of the call in the kernel.
#define EMULATOR_HERE emulator::Location where = emulator::Location::here()

inline void __syncthreads(EMULATOR_HERE) { emulator_block_barrier(emulator::Vote::none, 0, where); }
inline int __syncthreads_or(int predicate, EMULATOR_HERE) {
  return emulator_block_barrier(emulator::Vote::any, predicate, where);
}
inline int __syncthreads_and(int predicate, EMULATOR_HERE) {
  return emulator_block_barrier(emulator::Vote::all, predicate, where);
}
inline int __syncthreads_count(int predicate, EMULATOR_HERE) {
  return emulator_block_barrier(emulator::Vote::count, predicate, where);
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

inline long long clock64() { return emulator_clock(); }

#include "cuda_atomics.h"
#include "cuda_warp.h"

#undef assert
#define assert(condition) \
  ((condition) ? (void)0 : emulator_assertion_failed(#condition, emulator::Location::here()))

// How the runtime calls a kernel: one function of a fixed type for each, which unpacks the array of arguments.
namespace emulator {

template <class... Parameters, size_t... Index>
__attribute__((no_sanitize("thread"), noinline)) void call(void (*kernel)(Parameters...), void** arguments,
                                                           std::index_sequence<Index...>) {
  kernel(*static_cast<std::remove_reference_t<Parameters>*>(arguments[Index])...);
}

template <class... Parameters>
__attribute__((no_sanitize("thread"))) void call(void (*kernel)(Parameters...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<Parameters...>{});
}

}  // namespace emulator

#define EMULATOR_EXPORT(kernel) \
  extern "C" void emulated_##kernel(void** arguments) { emulator::call(&kernel, arguments); }

// Gives the library a block of thread-local variables even when no kernel has shared ones, and a way to touch it.
static __thread char emulator_anchor;
extern "C" __attribute__((no_sanitize("thread"))) char* emulator_shared_memory_anchor() { return &emulator_anchor; }
