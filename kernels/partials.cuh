// Sums that the blocks of one launch leave for the next launch, which adds them up in a fixed order.
#pragma once

#include "reduction.cuh"

// The sum of `count` numbers, in every thread of the block. All THREADS threads call it.
template <int THREADS, class T>
__device__ __forceinline__ T sum_partials(const T* __restrict__ partials, int count) {
  T sum = 0;
  for (int i = threadIdx.x; i < count; i += THREADS) sum += partials[i];
  return block_sum<THREADS>(sum);
}
