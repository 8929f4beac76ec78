// One block for each row of a matrix: the rows that softmax and the losses reduce to one number. The size of the block
// is chosen at launch from the length of the row, and nothing else decides the order in which numbers are combined.
#pragma once

#include "reduction.cuh"

struct Add {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

// The larger of two numbers, where a NaN loses.
struct Larger {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

struct Smaller {
  __device__ __forceinline__ int operator()(int a, int b) const { return a < b ? a : b; }
};

// All threads' values combined, in every thread. The block is made of whole warps, every thread calls, and may do so
// again at once. The order of combination is fixed, so the same numbers give the same bits.
template <class T, class Combine>
__device__ __forceinline__ T block_reduce(T value, Combine combine) {
  constexpr int MOST_WARPS = 32;
  __shared__ T of_warp[MOST_WARPS];
#pragma unroll
  for (int distance = WARP_THREADS / 2; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(WHOLE_WARP, value, distance));
  if (threadIdx.x % WARP_THREADS == 0) of_warp[threadIdx.x / WARP_THREADS] = value;
  __syncthreads();
  T result = of_warp[0];
  for (int warp = 1; warp < blockDim.x / WARP_THREADS; ++warp) result = combine(result, of_warp[warp]);
  __syncthreads();  // the next call overwrites what slower warps still read
  return result;
}

// term(0), term(1), ... term(count - 1) combined, in every thread of the block; a thread without a term gives `start`.
template <class T, class Combine, class Term>
__device__ __forceinline__ T reduce_row(int count, T start, Combine combine, Term term) {
  T value = start;
  for (int i = threadIdx.x; i < count; i += blockDim.x) value = combine(value, term(i));
  return block_reduce(value, combine);
}
