// Adds up the sums that the blocks of an earlier launch left for each channel, in a fixed order.
//
//   total[c] = sum over slices of sums[slice][c]; added to what total holds with `accumulate`
//
// Grid: x runs over tiles of blockDim.x channels, which are the lanes of a block; its rows of threads take every
// blockDim.y-th slice, then merge. Shared memory: what merge_rows takes.
//
// Architectures: sm_75 and later

#include "columns.cuh"
#include "primitives.cuh"
#include "reduction.cuh"

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    column_sums(float* __restrict__ total, const float* __restrict__ sums, int channels, int slices, int accumulate) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  Sums<1> sum = {};
  if (channel < channels) {
#pragma unroll 4
    for (int slice = threadIdx.y; slice < slices; slice += blockDim.y)
      sum.values[0] += sums[static_cast<long long>(slice) * channels + channel];
  }
  merge_rows<COLUMN_THREADS>(sum);
  if (threadIdx.y != 0 || channel >= channels) return;
  total[channel] = accumulate ? total[channel] + sum.values[0] : sum.values[0];
}
