// Two-dimensional convolution (cross-correlation), forward, on ordinary cores, with bias and ReLU.
//
//   y[n,p,q,k] = f(bias[k] + sum over r,s,c of
//                  x[n, p * stride_rows + r * dilation_rows - padding_top,
//                       q * stride_columns + s * dilation_columns - padding_left, c] * w[r,s,c,k])
//
// Pixels outside the image count as 0. A tap is one (r,s,c) of a filter. With G groups, filter k sees only the C/G
// channels of its own group.
// A fully connected layer is the same with images of one pixel and filters of one tap.
//
// Method: implicit GEMM (Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014). For each group this is
// the product of a matrix of patches (N*P*Q output pixels x R*S*C/G taps), which is never stored, and the filters
// (R*S*C/G taps x K/G), which lie in memory as that matrix. Each block computes a tile of the product: TILE pixels x
// TILE filters. It walks along the taps in slices of 8 or 16. The threads carry a slice of both matrices from global to
// shared memory, and multiply what lies there: every number that was read once serves TILE multiply-adds.
// While a slice is multiplied, the next one is on its way to registers; it is stored into the other half of the shared
// memory, so one barrier a slice is enough. tile_product.cuh says which thread carries and which multiplies what;
// quads.cuh accesses four neighbouring elements at once.
//
//            filters          In shared memory a slice of either matrix lies with one tap a row: patches[t][i] is tap
//          +---------+        t of pixel i, filters[t][j] is tap t of filter j. So the rows i of a thread's square of
//   taps   | slice   |        sums are pixels, its columns j are filters, and
//          +---------+
//    taps                       sum[i][j] += patches[t][i] * filters[t][j]
//   +----+ +---------+
//   |    | | tile    | pixels A tap and a pixel are counted by three digits (counter.cuh): row, column and channel of
//   +----+ +---------+        the filter; image, row and column of the result.
//
// Layout: x is N,H,W,C and y is N,P,Q,K, with a pitch: the distance from one pixel to the next, at least the channels.
// w is R,S,C/G,K without gaps. bias is null or K numbers. The result goes to y, or as float to wide_y; one is null.
// Grid: x runs over tiles of pixels, y over tiles of filters of a group, z over groups and splits; 256 threads.
// Splits: where there are few tiles, several blocks share one, each with `slices_per_split` slices of the taps. They
// write their sums to wide_y, one split after another, without bias and ReLU; convolution2d_combine.cu adds them in
// that order and applies both.
// Shared memory: 2 slices of both matrices, 4 x SLICE x (TILE + 4) floats: 16896 bytes (TILE 128) or 17408 (64).
// vector_x, vector_w, vector_y: pitches, channels and addresses let four neighbouring elements be accessed as one.
//
// What is compiled, once for each combination (OUTPUT and OPTIONAL are explained in primitives.cuh):
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// TILE: 128 | 64

#include "counter.cuh"
#include "geometry.cuh"
#include "tile_product.cuh"

namespace {

// A row so far above the image that no tap of the patch reaches it: the patch of a pixel that does not exist. Seen as
// unsigned, rows and columns above or left of the image are larger than any size, so one comparison finds all outside.
constexpr int NOWHERE = -(1 << 30);

// Reads the patches: this thread's part of each slice is four neighbouring taps of one pixel.
struct PatchReader {
  const STORED* image;  // the pixel's image, at the group's first channel
  int row, column;      // the upper left corner of its patch, which may lie outside the image
  Counter tap, step;    // row, column and channel of the first of the four taps; the same of a whole slice
  int taps_left;
  float values[QUAD];

  __device__ __forceinline__ void start(const Convolution2d& g, const STORED* x, int x_pitch, int first_pixel,
                                        int group, int first_tap, int end_tap, const QuadPlace& place) {
    // Counting what is left, not what is passed, cannot overflow at the last tile.
    const bool exists = place.column < g.N * g.P * g.Q - first_pixel;
    const Counter pixel = counter_of(exists ? first_pixel + place.column : 0, g.P, g.Q);
    image = x + static_cast<long long>(pixel.high) * g.H * g.W * x_pitch + group * g.group_channels;
    row = exists ? pixel.middle * g.stride_rows - g.padding_top : NOWHERE;
    column = pixel.low * g.stride_columns - g.padding_left;
    tap = counter_of(first_tap + place.t, g.S, g.group_channels);
    step = counter_of(SLICE, g.S, g.group_channels);
    taps_left = end_tap - first_tap - place.t;
  }

  // The channels of the pixel that a tap reads; null outside the image.
  __device__ __forceinline__ const STORED* channels(const Convolution2d& g, int x_pitch, const Counter& at) const {
    const int h = row + at.high * g.dilation_rows, v = column + at.middle * g.dilation_columns;
    const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(g.H) &&
                        static_cast<unsigned>(v) < static_cast<unsigned>(g.W);
    return inside ? image + static_cast<long long>(h * g.W + v) * x_pitch : nullptr;
  }

  // Four taps are four channels of one pixel when the channels are a multiple of four; otherwise each is on its own.
  __device__ __forceinline__ void read(const Convolution2d& g, int x_pitch, bool vector_x) {
    if (vector_x) {
      const STORED* const from = channels(g, x_pitch, tap);
      load_quad(values, from + tap.low, from ? taps_left : 0, true);
    } else {
      Counter single = tap;
#pragma unroll
      for (int j = 0; j < QUAD; ++j) {
        const STORED* const from = channels(g, x_pitch, single);
        values[j] = from && j < taps_left ? to_float(from[single.low]) : 0.0f;
        advance_by_one(single, g.S, g.group_channels);
      }
    }
    advance(tap, step, g.S, g.group_channels);
    taps_left -= SLICE;
  }
};

// Reads the filters: this thread's part of each slice is one tap of four neighbouring filters.
struct FilterReader {
  const STORED* filters;
  int filters_left, taps_left;
  float values[QUAD];

  __device__ __forceinline__ void start(const Convolution2d& g, const STORED* w, int group, int first_filter,
                                        int first_tap, int end_tap, const QuadPlace& place) {
    filters = w + static_cast<long long>(first_tap + place.t) * g.K + group * g.group_filters + first_filter +
              place.column;
    filters_left = g.group_filters - first_filter - place.column;
    taps_left = end_tap - first_tap - place.t;
  }

  __device__ __forceinline__ void read(const Convolution2d& g, bool vector_w) {
    load_quad(values, filters, taps_left > 0 ? filters_left : 0, vector_w);
    filters += SLICE * g.K;
    taps_left -= SLICE;
  }
};

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, RESIDENT_BLOCKS)
    convolution2d_forward(OUTPUT OPTIONAL STORED* __restrict__ y, int y_pitch,
                          OUTPUT OPTIONAL float* __restrict__ wide_y, int wide_y_pitch,
                          const STORED* __restrict__ x, int x_pitch, const STORED* __restrict__ w,
                          OPTIONAL const float* __restrict__ bias, Convolution2d geometry, int apply_relu, int splits,
                          int slices_per_split, int vector_x, int vector_w, int vector_y) {
  __shared__ __align__(16) SharedSlice patches[2], filters[2];

  const Convolution2d& g = geometry;
  const int group = blockIdx.z / splits, split = blockIdx.z % splits;
  const int first_pixel = blockIdx.x * TILE;
  const int first_filter = blockIdx.y * TILE;  // within the group
  const int first_tap = split * slices_per_split * SLICE;
  const int end_tap = min(g.R * g.S * g.group_channels, first_tap + slices_per_split * SLICE);
  const int slices = (end_tap - first_tap + SLICE - 1) / SLICE;

  const QuadPlace patch_place = place_in_column(), filter_place = place_in_row();
  PatchReader patch_reader;
  FilterReader filter_reader;
  patch_reader.start(g, x, x_pitch, first_pixel, group, first_tap, end_tap, patch_place);
  filter_reader.start(g, w, group, first_filter, first_tap, end_tap, filter_place);

  const Square square = square_of_thread();
  float sum[EDGE][EDGE] = {};
  // Each turn multiplies a slice and fetches the next: turn -1 only fetches, the last one only multiplies.
  for (int slice = -1; slice < slices; ++slice) {
    const bool more = slice + 1 < slices;
    if (more) {
      patch_reader.read(g, x_pitch, vector_x);
      filter_reader.read(g, vector_w);
    }
    if (slice >= 0) multiply_slices(sum, patches[slice % 2], filters[slice % 2], square);
    if (more) {
      const int next = (slice + 1) % 2;
      store_in_column(patches[next], patch_place, patch_reader.values);
      store_in_row(filters[next], filter_place, filter_reader.values);
      __syncthreads();
    }
  }

  const int pixels_left = g.N * g.P * g.Q - first_pixel;
#pragma unroll
  for (int i = 0; i < EDGE; ++i) {
    if (square.row(i) >= pixels_left) break;
    const long long pixel = first_pixel + square.row(i);
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
      const int k = group * g.group_filters + first_filter + square.column(part);
      const int filters_left = g.group_filters - first_filter - square.column(part);
      float values[QUAD], bias_values[QUAD] = {};
      quad_of(values, sum, i, part);
      if (bias) load_quad(bias_values, bias + k, filters_left, false);
#pragma unroll
      for (int j = 0; j < QUAD; ++j) {
        values[j] += bias_values[j];
        if (apply_relu) values[j] = relu(values[j]);
      }
      if (y) {
        store_quad(y + pixel * y_pitch + k, values, filters_left, vector_y);
      } else {
        const long long split_start = static_cast<long long>(split) * g.N * g.P * g.Q;
        store_quad(wide_y + (split_start + pixel) * wide_y_pitch + k, values, filters_left, vector_y);
      }
    }
  }
}
