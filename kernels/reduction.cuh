// Sums over the threads of a warp and of a block, always in the same order, so that the same numbers give the same bits.
#pragma once

constexpr int WARP_THREADS = 32;
constexpr unsigned WHOLE_WARP = 0xffffffffu;

// The sum over the warp's 32 threads, in every one of them, as a tree whose shape is fixed.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = WARP_THREADS / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(WHOLE_WARP, value, distance);
  return value;
}

// The sum over all THREADS of the block, in every one of them. Every thread calls it; it may be called again at once.
template <int THREADS, class T>
__device__ __forceinline__ T block_sum(T value) {
  static_assert(THREADS % WARP_THREADS == 0, "a block is made of whole warps");
  constexpr int WARPS = THREADS / WARP_THREADS;
  __shared__ T warp_sums[WARPS];
  value = warp_sum(value);
  if (threadIdx.x % WARP_THREADS == 0) warp_sums[threadIdx.x / WARP_THREADS] = value;
  __syncthreads();
  T sum = warp_sums[0];
#pragma unroll
  for (int warp = 1; warp < WARPS; ++warp) sum += warp_sums[warp];
  __syncthreads();  // the next call overwrites what slower warps still read
  return sum;
}
