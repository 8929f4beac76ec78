// Two-dimensional convolution, gradient of the input, on ordinary cores, with the derivative of a ReLU before it.
//
//   gx[n,h,v,c] = f'(n,h,v,c) * sum over k and those r,s,p,q with
//                 p * stride_rows + r * dilation_rows - padding_top = h, and q, s, v alike, of gy[n,p,q,k] * w[r,s,c,k]
//
// f' is 1 where `saved`, the output of the ReLU, is above 0, and else 0; without `saved` it is 1 everywhere.
//
// Method: implicit GEMM as in convolution2d_forward.cu, which explains tiles, slices, splits and vector_*. With a
// stride, most pairs of a pixel and a tap have no output pixel between them. But all pixels with the same h % stride
// meet the same taps, one every tap_step, and the outputs of neighbouring pixels are neighbours: each such phase is a
// product without gaps (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", chapter 4). Its
// rows are the phase's pixels of all images, its columns the C/G channels of a group, its depth the taps i,j of the
// phase times the K/G filters of the group.
//
// Layout: gx and saved are N,H,W,C and gy is N,P,Q,K, each with a pitch; w is R,S,C/G,K without gaps. The result goes
// to gx, or as float to `sums` (splits x N,H,W,C without gaps); one of the two is null.
// Grid: x runs over tiles of pixels of the largest phase, y over tiles of channels of a group and phases, z over
// groups and splits; 256 threads.
// Shared memory: 2 slices of both matrices, 4 x SLICE x (TILE + 4) floats, and the phase: 17 KiB.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// TILE: 128 | 64

#include "counter.cuh"
#include "geometry.cuh"
#include "stride_phases.cuh"
#include "tile_product.cuh"

namespace {

constexpr int NOWHERE = -(1 << 30);

// What a block multiplies: one phase of the stride (stride_phases.cuh). Tap i of the phase is the filter's tap
// first_tap + i * tap_step; pixel m meets by it the output first_source + m - i * source_step.
struct PhaseProduct : Phase {
  int pixels, depth;
  Counter step;  // a slice, as digits of i, j, k
};

__device__ __forceinline__ PhaseProduct product_of(const Convolution2d& g, const Phase& phase) {
  const StridePhase &rows = phase.rows, &columns = phase.columns;
  return {phase, g.N * rows.positions * columns.positions, rows.taps * columns.taps * g.group_filters,
          counter_of(SLICE, max(columns.taps, 1), g.group_filters)};
}

// Reads both matrices, whose depth i,j,k is contiguous in memory: this thread's part of each slice is four
// neighbouring k of one pixel and of one channel.
struct Reader {
  const STORED* image;    // the outputs of the pixel's image, at the group's first filter
  int row, column;        // the output that the pixel meets by tap 0, 0 of the phase
  const STORED* channel;  // the channel in w, at tap 0, 0 and the group's first filter
  bool channel_exists;
  Counter tap;
  int depth_left;
  float gradients[QUAD], weights[QUAD];

  __device__ __forceinline__ void start(const Convolution2d& g, const PhaseProduct& phase, const STORED* gy,
                                        int gy_pitch, const STORED* w, int first_pixel, int first_channel, int group,
                                        int first_depth, int end_depth, const QuadPlace& place) {
    const bool exists = place.column < phase.pixels - first_pixel;
    const Counter pixel =
        counter_of(exists ? first_pixel + place.column : 0, phase.rows.positions, phase.columns.positions);
    image = gy + static_cast<long long>(pixel.high) * g.P * g.Q * gy_pitch + group * g.group_filters;
    row = exists ? phase.rows.first_source + pixel.middle : NOWHERE;
    column = phase.columns.first_source + pixel.low;
    channel = w + static_cast<long long>(first_channel + place.column) * g.K + group * g.group_filters;
    channel_exists = place.column < g.group_channels - first_channel;
    tap = counter_of(first_depth + place.t, max(phase.columns.taps, 1), g.group_filters);
    depth_left = end_depth - first_depth - place.t;
  }

  // The output that the pixel meets by a tap; null when there is none.
  __device__ __forceinline__ const STORED* output(const Convolution2d& g, const PhaseProduct& phase, int gy_pitch,
                                                  const Counter& at) const {
    const int p = row - at.high * phase.rows.source_step, q = column - at.middle * phase.columns.source_step;
    const bool inside = static_cast<unsigned>(p) < static_cast<unsigned>(g.P) &&
                        static_cast<unsigned>(q) < static_cast<unsigned>(g.Q);
    return inside ? image + static_cast<long long>(p * g.Q + q) * gy_pitch + at.low : nullptr;
  }

  __device__ __forceinline__ const STORED* weight(const Convolution2d& g, const PhaseProduct& phase,
                                                  const Counter& at) const {
    const int r = phase.rows.first_tap + at.high * phase.rows.tap_step;
    const int s = phase.columns.first_tap + at.middle * phase.columns.tap_step;
    return channel + static_cast<long long>((r * g.S + s) * g.group_channels) * g.K + at.low;
  }

  // Four neighbouring k lie in one tap when the filters are a multiple of four; otherwise each is on its own.
  __device__ __forceinline__ void read(const Convolution2d& g, const PhaseProduct& phase, int gy_pitch, bool vector) {
    if (vector) {
      const STORED* const from = output(g, phase, gy_pitch, tap);
      load_quad(gradients, from, from ? depth_left : 0, true);
      load_quad(weights, weight(g, phase, tap), channel_exists ? depth_left : 0, true);
    } else {
      Counter single = tap;
#pragma unroll
      for (int j = 0; j < QUAD; ++j) {
        const bool wanted = j < depth_left;
        const STORED* const from = output(g, phase, gy_pitch, single);
        gradients[j] = from && wanted ? to_float(*from) : 0.0f;
        weights[j] = channel_exists && wanted ? to_float(*weight(g, phase, single)) : 0.0f;
        advance_by_one(single, phase.columns.taps, g.group_filters);
      }
    }
    advance(tap, phase.step, phase.columns.taps, g.group_filters);
    depth_left -= SLICE;
  }
};

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, RESIDENT_BLOCKS)
    convolution2d_backward_data(OPTIONAL STORED* __restrict__ gx, int gx_pitch,
                                OUTPUT OPTIONAL float* __restrict__ sums, const STORED* __restrict__ gy, int gy_pitch,
                                const STORED* __restrict__ w, OPTIONAL const STORED* __restrict__ saved,
                                int saved_pitch, Convolution2d geometry, int accumulate, int splits,
                                int slices_per_split, int vector_depth, int vector_gx) {
  __shared__ __align__(16) SharedSlice gradients[2], weights[2];

  const Convolution2d& g = geometry;
  const int channel_tiles = (g.group_channels + TILE - 1) / TILE;
  // In shared memory, because all threads need the same, and seldom.
  __shared__ PhaseProduct phase;
  if (threadIdx.x == 0) phase = product_of(g, phase_of(g, blockIdx.y / channel_tiles));
  __syncthreads();
  const int first_pixel = blockIdx.x * TILE;
  const int pixels_left = phase.pixels - first_pixel;
  if (pixels_left <= 0) return;  // the largest phase has more tiles than this one
  const int first_channel = blockIdx.y % channel_tiles * TILE;  // within the group
  const int group = blockIdx.z / splits, split = blockIdx.z % splits;
  const int first_depth = split * slices_per_split * SLICE;
  const int end_depth = min(phase.depth, first_depth + slices_per_split * SLICE);
  const int slices = (end_depth - first_depth + SLICE - 1) / SLICE;  // none where a phase has few taps

  const QuadPlace place = place_in_column();
  Reader reader;
  reader.start(g, phase, gy, gy_pitch, w, first_pixel, first_channel, group, first_depth, end_depth, place);

  const Square square = square_of_thread();
  float sum[EDGE][EDGE] = {};
  for (int slice = -1; slice < slices; ++slice) {
    const bool more = slice + 1 < slices;
    if (more) reader.read(g, phase, gy_pitch, vector_depth);
    if (slice >= 0) multiply_slices(sum, gradients[slice % 2], weights[slice % 2], square);
    if (more) {
      const int next = (slice + 1) % 2;
      store_in_column(gradients[next], place, reader.gradients);
      store_in_column(weights[next], place, reader.weights);
      __syncthreads();
    }
  }

#pragma unroll
  for (int i = 0; i < EDGE; ++i) {
    if (square.row(i) >= pixels_left) break;
    const Counter place_in_phase =
        counter_of(first_pixel + square.row(i), phase.rows.positions, phase.columns.positions);
    const int h = phase.rows.first + place_in_phase.middle * g.stride_rows;
    const int v = phase.columns.first + place_in_phase.low * g.stride_columns;
    const long long pixel = (static_cast<long long>(place_in_phase.high) * g.H + h) * g.W + v;
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
      const int c = group * g.group_channels + first_channel + square.column(part);
      const int channels_left = g.group_channels - first_channel - square.column(part);
      float values[QUAD];
      quad_of(values, sum, i, part);
      if (sums) {
        const long long split_start = static_cast<long long>(split) * g.N * g.H * g.W;
        store_quad(sums + (split_start + pixel) * g.C + c, values, channels_left, vector_gx);
        continue;
      }
      float before[QUAD] = {}, kept[QUAD];
      if (accumulate) load_quad(before, gx + pixel * gx_pitch + c, channels_left, vector_gx);
      if (saved) load_quad(kept, saved + pixel * saved_pitch + c, channels_left, vector_gx);
#pragma unroll
      for (int j = 0; j < QUAD; ++j) {
        if (saved && !(kept[j] > 0.0f)) values[j] = 0.0f;
        values[j] += before[j];
      }
      store_quad(gx + pixel * gx_pitch + c, values, channels_left, vector_gx);
    }
  }
}
