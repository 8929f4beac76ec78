// The passes over images that batch norm and group norm have in common. Each moves every number once.
//
//   column_moments       mean and squared distances of each channel of each slice of rows
//   normalize_columns    y = f((x - shift) * scale + offset)
//   column_products      sums of gy and of gy * (x - mean) of each channel of each slice of rows
//   columns_gradient     gx = gy * factor + (x - shift) * scale + offset; added to what gx holds with `accumulate`
//
// Between two passes a small launch of batch_norm.cu or group_norm.cu makes coefficients of the sums. Shifts are
// subtracted before anything is multiplied: where a mean is large beside its deviation, that difference is exact and
// the difference of two products would be rounding alone.
//
// Layout: images are rows of `channels` numbers, a row every x_pitch numbers. For batch norm all images count as one
// image; for group norm each stands alone. Sums are [image][slice][kind][channel], coefficients [image][kind][channel],
// the kinds in the order in which they are named above. mean is [image][groups].
// Grid and shared memory: see columns.cuh; a thread takes one channel, or with WIDE 16 bytes of neighbouring ones, and
// keeps their coefficients in registers. Slices depend on nothing but the sizes, and each has its place for its sums,
// so that the same numbers give the same bits.
// y may be x and gx may be gy: that is why these are not __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "normalization.cuh"
#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
// Blocks on a multiprocessor: told that four are enough, the compiler takes the registers that it needs.
constexpr int PRODUCT_BLOCKS = 4;

// The coefficients of one kind for this thread's channels.
__device__ __forceinline__ Floats<WIDTH> coefficients_of(const float* coefficients, int kinds, int image, int kind,
                                                         int channels, int channel) {
  const float* first = coefficients + (static_cast<long long>(image) * kinds + kind) * channels + channel;
  Floats<WIDTH> values;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) values[i] = first[i];
  return values;
}

// Writes the sums of one kind; blockIdx.x counts the slices of all images.
__device__ __forceinline__ void write_sums(float* sums, int kinds, int kind, int channels, int channel,
                                           const float (&values)[WIDTH]) {
  float* first = sums + (static_cast<long long>(blockIdx.x) * kinds + kind) * channels + channel;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) first[i] = values[i];
}

}  // namespace

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    column_moments(OUTPUT float* __restrict__ sums, const STORED* __restrict__ x, int x_pitch, int rows, int channels,
                   int slices, int slice_rows) {
  const RowSlice slice(rows, slices, slice_rows);
  const int channel = first_channel_of_lane<WIDTH>();
  Moments<WIDTH> moments = {};
  int row = slice.first + threadIdx.y;
  if (channel < channels && row < slice.end) {
    moments.count = static_cast<float>((slice.end - row + blockDim.y - 1) / blockDim.y);
    const Floats<WIDTH> shift = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
    Floats<WIDTH> sum = {}, squares = {};
#pragma unroll 4
    for (row += blockDim.y; row < slice.end; row += blockDim.y) {
      const Floats<WIDTH> value = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) {
        const float distance = value[i] - shift[i];
        sum[i] += distance;
        squares[i] = fmaf(distance, distance, squares[i]);
      }
    }
    const float share = 1.0f / moments.count;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      const float rest = sum[i] * share, around_mean = fmaf(-sum[i], rest, squares[i]);
      moments.shift[i] = shift[i];
      moments.rest[i] = rest;
      moments.squares[i] = around_mean < 0.0f ? 0.0f : around_mean;
    }
  }
  merge_rows<COLUMN_THREADS>(moments);
  if (threadIdx.y != 0 || channel >= channels) return;
  write_sums(sums, MOMENT_KINDS, 0, channels, channel, moments.shift);
  write_sums(sums, MOMENT_KINDS, 1, channels, channel, moments.rest);
  write_sums(sums, MOMENT_KINDS, 2, channels, channel, moments.squares);
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    normalize_columns(OUTPUT STORED* y, int y_pitch, const STORED* x, int x_pitch,
                      const float* __restrict__ coefficients, int rows, int channels, int slices, int slice_rows,
                      int apply_relu) {
  const RowSlice slice(rows, slices, slice_rows);
  const int channel = first_channel_of_lane<WIDTH>();
  if (channel >= channels) return;
  const auto shift = coefficients_of(coefficients, COEFFICIENT_KINDS, slice.image, 0, channels, channel);
  const auto scale = coefficients_of(coefficients, COEFFICIENT_KINDS, slice.image, 1, channels, channel);
  const auto offset = coefficients_of(coefficients, COEFFICIENT_KINDS, slice.image, 2, channels, channel);
  for (int row = slice.first + threadIdx.y; row < slice.end; row += blockDim.y) {
    Floats<WIDTH> value = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      value[i] = fmaf(value[i] - shift[i], scale[i], offset[i]);
      if (apply_relu) value[i] = relu(value[i]);
    }
    store_floats(row_of(y, y_pitch, row) + channel, value);
  }
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS, PRODUCT_BLOCKS)
    column_products(OUTPUT float* __restrict__ sums, const STORED* __restrict__ gy, int gy_pitch,
                    const STORED* __restrict__ x, int x_pitch, const float* __restrict__ mean, int rows, int channels,
                    int slices, int slice_rows, int groups) {
  const RowSlice slice(rows, slices, slice_rows);
  const int channel = first_channel_of_lane<WIDTH>();
  // The first WIDTH sums are those of gy.
  Sums<2 * WIDTH> total = {};
  if (channel < channels) {
    float shift[WIDTH];
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
      shift[i] = mean[static_cast<long long>(slice.image) * groups + (channel + i) / (channels / groups)];
#pragma unroll 4
    for (int row = slice.first + threadIdx.y; row < slice.end; row += blockDim.y) {
      const Floats<WIDTH> gradient = load_floats<WIDTH>(row_of(gy, gy_pitch, row) + channel);
      const Floats<WIDTH> value = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) {
        total.values[i] += gradient[i];
        total.values[WIDTH + i] = fmaf(gradient[i], value[i] - shift[i], total.values[WIDTH + i]);
      }
    }
  }
  merge_rows<COLUMN_THREADS>(total);
  if (threadIdx.y != 0 || channel >= channels) return;
  float gradients[WIDTH], products[WIDTH];
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) {
    gradients[i] = total.values[i];
    products[i] = total.values[WIDTH + i];
  }
  write_sums(sums, PRODUCT_KINDS, 0, channels, channel, gradients);
  write_sums(sums, PRODUCT_KINDS, 1, channels, channel, products);
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    columns_gradient(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch, const STORED* __restrict__ x,
                     int x_pitch, const float* __restrict__ coefficients, int rows, int channels, int slices,
                     int slice_rows, int accumulate) {
  const RowSlice slice(rows, slices, slice_rows);
  const int channel = first_channel_of_lane<WIDTH>();
  if (channel >= channels) return;
  const auto factor = coefficients_of(coefficients, BACKWARD_KINDS, slice.image, 0, channels, channel);
  const auto shift = coefficients_of(coefficients, BACKWARD_KINDS, slice.image, 1, channels, channel);
  const auto scale = coefficients_of(coefficients, BACKWARD_KINDS, slice.image, 2, channels, channel);
  const auto offset = coefficients_of(coefficients, BACKWARD_KINDS, slice.image, 3, channels, channel);
  for (int row = slice.first + threadIdx.y; row < slice.end; row += blockDim.y) {
    const Floats<WIDTH> gradient = load_floats<WIDTH>(row_of(gy, gy_pitch, row) + channel);
    const Floats<WIDTH> value = load_floats<WIDTH>(row_of(x, x_pitch, row) + channel);
    STORED* target = row_of(gx, gx_pitch, row) + channel;
    Floats<WIDTH> result = {};
    if (accumulate) result = load_floats<WIDTH>(target);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
      result[i] += fmaf(gradient[i], factor[i], fmaf(value[i] - shift[i], scale[i], offset[i]));
    store_floats(target, result);
  }
}
