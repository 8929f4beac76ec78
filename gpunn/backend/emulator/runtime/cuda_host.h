// CUDA C++ for g++: what a kernel's source sees in the emulator. The machinery is in the runtime's other files.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "interface.h"

#define GPUNN_EMULATOR 1

// Qualifiers. An OS thread runs one block at a time, so a block's shared variables are the thread's own.
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static __thread
#define __forceinline__ inline __attribute__((always_inline))
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

// Vector types, with the alignment that the hardware asks for.
struct __align__(8) float2 {
  float x, y;
};
struct __align__(16) float4 {
  float x, y, z, w;
};
struct __align__(8) int2 {
  int x, y;
};
struct __align__(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

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

// Operations of a warp.
inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATOR_HERE) {
  const emulator::WarpRequest request = {emulator::WarpOperation::synchronize, mask, nullptr, nullptr, 0, 0, 0, where};
  emulator_warp_operation(&request);
}

namespace emulator {

template <class T>
T shuffle(WarpOperation operation, unsigned mask, T value, int parameter, int width, Location where) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  T result;
  const WarpRequest request = {operation, mask, &value, &result, sizeof(T), parameter, width, where};
  emulator_warp_operation(&request);
  return result;
}

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle, mask, value, lane, width, where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle_up, mask, value, static_cast<int>(distance), width, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle_down, mask, value, static_cast<int>(distance), width,
                           where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle_xor, mask, value, lane_mask, width, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  unsigned votes;
  const emulator::WarpRequest request = {
      emulator::WarpOperation::ballot, mask, &predicate, &votes, sizeof votes, 0, 0, where};
  emulator_warp_operation(&request);
  return votes;
}
inline int __any_sync(unsigned mask, int predicate, EMULATOR_HERE) { return __ballot_sync(mask, predicate, where) != 0; }
inline int __all_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  return __ballot_sync(mask, !predicate, where) == 0;
}

// Atomics. Each returns what was there before.
namespace emulator {

template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "both types must have the same size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
T atomic(AtomicOperation operation, T* target, T value, T compare, Location where) {
  if constexpr (sizeof(T) == 4)
    return same_bits<T>(emulator_atomic_32(operation, target, same_bits<uint32_t>(value),
                                           same_bits<uint32_t>(compare), where));
  else
    return same_bits<T>(emulator_atomic_64(operation, target, same_bits<uint64_t>(value),
                                           same_bits<uint64_t>(compare), where));
}

}  // namespace emulator

template <class T>
T atomicAdd(T* target, T value, EMULATOR_HERE) {
  constexpr auto operation =
      std::is_floating_point_v<T> ? emulator::AtomicOperation::add_floating : emulator::AtomicOperation::add;
  return emulator::atomic(operation, target, value, T{}, where);
}
template <class T>
T atomicExch(T* target, T value, EMULATOR_HERE) {
  return emulator::atomic(emulator::AtomicOperation::exchange, target, value, T{}, where);
}
template <class T>
T atomicCAS(T* target, T compare, T value, EMULATOR_HERE) {
  return emulator::atomic(emulator::AtomicOperation::compare_exchange, target, value, compare, where);
}
inline int atomicMax(int* target, int value, EMULATOR_HERE) {
  return emulator::atomic(emulator::AtomicOperation::maximum_signed, target, value, 0, where);
}

// Maths and bits.
template <class T>
T __ldg(const T* pointer) {
  return *pointer;
}
inline int __float_as_int(float value) { return emulator::same_bits<int>(value); }
inline unsigned __float_as_uint(float value) { return emulator::same_bits<unsigned>(value); }
inline float __int_as_float(int value) { return emulator::same_bits<float>(value); }
inline float __uint_as_float(unsigned value) { return emulator::same_bits<float>(value); }
inline float rsqrtf(float value) { return 1.0f / std::sqrt(value); }
inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __clz(int value) { return value ? __builtin_clz(static_cast<unsigned>(value)) : 32; }
inline int __ffs(int value) { return __builtin_ffs(value); }
using std::max;
using std::min;

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
