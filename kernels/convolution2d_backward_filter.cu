// Two-dimensional convolution, gradients of the filters and of the bias, on ordinary cores.
//
//   gw[r,s,c,k] = sum over n,p,q of x[n, p * stride_rows + r * dilation_rows - padding_top,
//                                     q * stride_columns + s * dilation_columns - padding_left, c] * gy[n,p,q,k]
//   gbias[k]    = sum over n,p,q of gy[n,p,q,k]
//
// Pixels of x outside the image count as 0. With G groups, k sees only the C/G channels of its own group.
//
// Method: implicit GEMM as in convolution2d_forward.cu, which explains tiles, slices and vector_*. For each group this
// is the transposed matrix of patches (R*S*C/G taps x N*P*Q output pixels) times gy (N*P*Q pixels x K/G filters). In
// both, what lies side by side in a tile lies side by side in memory. The sums are long and the tiles few, so the
// output pixels are shared by splits. The blocks of the first taps also add up the slices of gy that they hold in
// shared memory: that is gbias.
//
// Layout: x is N,H,W,C and gy is N,P,Q,K, each with a pitch. gw and `sums` (one gw a split) are R,S,C/G,K, gbias and
// bias_sums (one gbias a split) K floats, without gaps. Either gw and gbias are written, or added to with
// `accumulate`, or sums and bias_sums, for convolution2d_combine.cu to add in the order of the splits; the others are
// null, and so are gbias and bias_sums when the bias's gradient is not wanted.
// Grid: x runs over tiles of taps, y over tiles of filters of a group, z over groups and splits; 256 threads.
// Shared memory: 2 slices of both matrices, 4 x SLICE x (TILE + 4) floats: 17 KiB.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// TILE: 128 | 64

#include "counter.cuh"
#include "geometry.cuh"
#include "tile_product.cuh"

namespace {

// Reads both matrices: this thread's part of each slice is four neighbouring taps and four neighbouring filters of one
// output pixel.
struct Reader {
  Counter tap;  // row, column and channel of the first of the four taps
  int taps_left;
  const STORED* gradient;  // of the output pixel and the first of the four filters
  int filters_left;
  Counter pixel;  // image, row and column of the output pixel
  int pixels_left;
  float patch[QUAD], gradients[QUAD];

  __device__ __forceinline__ void start(const Convolution2d& g, const STORED* gy, int gy_pitch, int group,
                                        int first_tap, int first_filter, int first_pixel, int end_pixel,
                                        const QuadPlace& place) {
    tap = counter_of(first_tap + place.column, g.S, g.group_channels);
    taps_left = g.R * g.S * g.group_channels - first_tap - place.column;
    gradient = gy + static_cast<long long>(first_pixel + place.t) * gy_pitch + group * g.group_filters + first_filter +
               place.column;
    filters_left = g.group_filters - first_filter - place.column;
    pixel = counter_of(first_pixel + place.t, g.P, g.Q);
    pixels_left = end_pixel - first_pixel - place.t;
  }

  // The channel of x that the pixel reads by a tap; null outside the image.
  __device__ __forceinline__ const STORED* channel(const Convolution2d& g, const STORED* x, int x_pitch,
                                                   const Counter& at) const {
    const int h = pixel.middle * g.stride_rows - g.padding_top + at.high * g.dilation_rows;
    const int v = pixel.low * g.stride_columns - g.padding_left + at.middle * g.dilation_columns;
    const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(g.H) &&
                        static_cast<unsigned>(v) < static_cast<unsigned>(g.W);
    return inside ? x + static_cast<long long>((pixel.high * g.H + h) * g.W + v) * x_pitch + at.low : nullptr;
  }

  // x starts at the group's first channel. Four taps are four channels of one pixel when the channels are a multiple
  // of four; otherwise each is on its own.
  __device__ __forceinline__ void read(const Convolution2d& g, const STORED* x, int x_pitch, bool vector_x,
                                       int gy_pitch, bool vector_gy, const Counter& step) {
    const bool exists = pixels_left > 0;
    if (vector_x) {
      const STORED* const from = channel(g, x, x_pitch, tap);
      load_quad(patch, from, from && exists ? taps_left : 0, true);
    } else {
      Counter single = tap;
#pragma unroll 1  // four taps at a time would need more registers than there are
      for (int j = 0; j < QUAD; ++j) {
        const STORED* const from = channel(g, x, x_pitch, single);
        shift_in(patch, from && exists && j < taps_left ? to_float(*from) : 0.0f);
        advance_by_one(single, g.S, g.group_channels);
      }
    }
    load_quad(gradients, gradient, exists ? filters_left : 0, vector_gy);
    gradient += static_cast<long long>(SLICE) * gy_pitch;
    advance(pixel, step, g.P, g.Q);
    pixels_left -= SLICE;
  }
};

// What is there already, or nothing.
__device__ __forceinline__ void add_quad(float (&values)[QUAD], const float* from, int count, bool vector) {
  float before[QUAD];
  load_quad(before, from, count, vector);
#pragma unroll
  for (int j = 0; j < QUAD; ++j) values[j] += before[j];
}

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, RESIDENT_BLOCKS)
    convolution2d_backward_filter(OPTIONAL float* __restrict__ gw, OPTIONAL float* __restrict__ gbias,
                                  OUTPUT OPTIONAL float* __restrict__ sums,
                                  OUTPUT OPTIONAL float* __restrict__ bias_sums, const STORED* __restrict__ x,
                                  int x_pitch, const STORED* __restrict__ gy, int gy_pitch, Convolution2d geometry,
                                  int accumulate, int splits, int slices_per_split, int vector_x, int vector_gy,
                                  int vector_gw) {
  __shared__ __align__(16) SharedSlice patches[2], gradients[2];

  const Convolution2d& g = geometry;
  const int group = blockIdx.z / splits, split = blockIdx.z % splits;
  const int first_tap = blockIdx.x * TILE;
  const int first_filter = blockIdx.y * TILE;  // within the group
  const int first_pixel = split * slices_per_split * SLICE;
  const int end_pixel = min(g.N * g.P * g.Q - first_pixel, slices_per_split * SLICE) + first_pixel;
  const int slices = (end_pixel - first_pixel + SLICE - 1) / SLICE;

  const QuadPlace place = place_in_row();
  Reader reader;
  reader.start(g, gy, gy_pitch, group, first_tap, first_filter, first_pixel, end_pixel, place);
  const bool sums_bias = (gbias || bias_sums) && blockIdx.x == 0 && threadIdx.x < TILE;

  // In shared memory, because all threads need the same, and seldom.
  __shared__ Counter step;  // a slice of pixels
  if (threadIdx.x == 0) step = counter_of(SLICE, g.P, g.Q);
  __syncthreads();

  const Square square = square_of_thread();
  float sum[EDGE][EDGE] = {}, bias_sum = 0.0f;
  for (int slice = -1; slice < slices; ++slice) {
    const bool more = slice + 1 < slices;
    if (more) reader.read(g, x + group * g.group_channels, x_pitch, vector_x, gy_pitch, vector_gy, step);
    if (slice >= 0) {
      multiply_slices(sum, patches[slice % 2], gradients[slice % 2], square);
      if (sums_bias) {
#pragma unroll
        for (int t = 0; t < SLICE; ++t) bias_sum += gradients[slice % 2][t][threadIdx.x];
      }
    }
    if (more) {
      const int next = (slice + 1) % 2;
      store_in_row(patches[next], place, reader.patch);
      store_in_row(gradients[next], place, reader.gradients);
      __syncthreads();
    }
  }

  const int taps = g.R * g.S * g.group_channels;
  if (sums_bias && static_cast<int>(threadIdx.x) < g.group_filters - first_filter) {
    const int k = group * g.group_filters + first_filter + threadIdx.x;
    if (gbias)
      gbias[k] = accumulate ? gbias[k] + bias_sum : bias_sum;
    else
      bias_sums[static_cast<long long>(split) * g.K + k] = bias_sum;
  }
#pragma unroll
  for (int i = 0; i < EDGE; ++i) {
    if (square.row(i) >= taps - first_tap) break;
    const long long tap = first_tap + square.row(i);
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
      const int k = group * g.group_filters + first_filter + square.column(part);
      const int filters_left = g.group_filters - first_filter - square.column(part);
      float values[QUAD];
      quad_of(values, sum, i, part);
      float* const target = (gw ? gw : sums + static_cast<long long>(split) * taps * g.K) + tap * g.K + k;
      if (accumulate) add_quad(values, target, filters_left, vector_gw);
      store_quad(target, values, filters_left, vector_gw);
    }
  }
}
