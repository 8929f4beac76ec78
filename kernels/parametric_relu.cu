// The ReLU whose slope is learned, one slope for each channel
// (He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification", 2015).
//
//   forward    y = x where x > 0, else slope x
//   backward   gx = gy where x > 0, else slope gy; added to what gx holds with `accumulate`
//              gslope = sum of gy min(0, x) over all elements of a channel
//
// The backward pass reads x and gy once: it writes gx, where that is wanted, and leaves the sums of each slice of rows
// in [slice][channel], which column_sums.cu adds up.
//
// Layout: `rows` rows of `channels` numbers, a row every x_pitch numbers. slope and gslope have a number for each
// channel.
// Grid and shared memory: see columns.cuh; all images count as one. A thread takes one channel, or with WIDE 16 bytes
// of neighbouring ones.
// y may be x and gx may be gy: that is why these are not __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "columns.cuh"
#include "reduction.cuh"
#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;

__device__ __forceinline__ Floats<WIDTH> slopes_of(const float* slope, int channel) {
  Floats<WIDTH> values;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) values[i] = slope[channel + i];
  return values;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    parametric_relu_forward(OUTPUT STORED* y, int y_pitch, const STORED* x, int x_pitch,
                            const float* __restrict__ slope, int rows, int channels, int slices, int slice_rows) {
  const RowSlice slice(rows, slices, slice_rows);
  const int channel = first_channel_of_lane<WIDTH>();
  if (channel >= channels) return;
  const Floats<WIDTH> slopes = slopes_of(slope, channel);
  for (int row = slice.first + threadIdx.y; row < slice.end; row += blockDim.y) {
    Floats<WIDTH> value = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) value[i] = value[i] > 0.0f ? value[i] : slopes[i] * value[i];
    store_floats(row_of(y, y_pitch, row) + channel, value);
  }
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    parametric_relu_backward(OPTIONAL STORED* gx, int gx_pitch, OUTPUT float* __restrict__ sums, const STORED* gy,
                             int gy_pitch, const STORED* __restrict__ x, int x_pitch,
                             const float* __restrict__ slope, int rows, int channels, int slices, int slice_rows,
                             int accumulate) {
  const RowSlice slice(rows, slices, slice_rows);
  const int channel = first_channel_of_lane<WIDTH>();
  Sums<WIDTH> total = {};
  if (channel < channels) {
    const Floats<WIDTH> slopes = slopes_of(slope, channel);
    for (int row = slice.first + threadIdx.y; row < slice.end; row += blockDim.y) {
      const Floats<WIDTH> gradient = load_floats<WIDTH>(row_of(gy, gy_pitch, row) + channel);
      const Floats<WIDTH> value = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i)
        total.values[i] = fmaf(gradient[i], value[i] > 0.0f ? 0.0f : value[i], total.values[i]);
      if (!gx) continue;
      STORED* target = row_of(gx, gx_pitch, row) + channel;
      Floats<WIDTH> result = {};
      if (accumulate) result = load_floats<WIDTH>(target);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) result[i] += value[i] > 0.0f ? gradient[i] : slopes[i] * gradient[i];
      store_floats(target, result);
    }
  }
  merge_rows<COLUMN_THREADS>(total);
  if (threadIdx.y != 0 || channel >= channels) return;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) sums[static_cast<long long>(blockIdx.x) * channels + channel + i] = total.values[i];
}
