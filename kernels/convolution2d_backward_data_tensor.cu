// Two-dimensional convolution, gradient of the input, on tensor cores, with the derivative of a ReLU before it.
//
//   gx[n,h,v,c] = f'(n,h,v,c) * sum over k and those r,s,p,q with
//                 p * stride_rows + r * dilation_rows - padding_top = h, and q, s, v alike, of gy[n,p,q,k] * w[r,s,c,k]
//
// f' is 1 where `saved`, the output of the ReLU, is above 0, and else 0; without `saved` it is 1 everywhere. Factors
// are of the stored type (float: rounded to TF32), sums float32.
//
// Method: implicit GEMM as in convolution2d_forward_tensor.cu, one for each phase of the stride (stride_phases.cuh):
//   A   rows: the phase's input pixels    depth: its taps, and filters K/G      gy, filters contiguous
//   B   depth: the same                   columns: channels, C/G                w as it lies in memory, k contiguous
// Layout: gx and saved are N,H,W,C and gy is N,P,Q,K, each with a pitch; w is R,S,C/G,K. The result goes to gx, added
// to what is there with `accumulate`, or as float to `sums`, splits x N,H,W,C; the other one is null.
// Grid: x runs over tiles of the largest phase, y over groups, z over phases and splits of the depth; 128 threads.
// Shared memory: three stages of A and B (tensor_core_tile.cuh), 48, 36 or 24 KiB; afterwards the results pass through
// it (tensor_core_results.cuh).
//
// Architectures: sm_80 and later
// STORED: float | bfloat16 | float16
// TILE: aligned_128x128 | aligned_128x64 | aligned_64x64 | padded_128x64

#include "geometry.cuh"
#include "stride_phases.cuh"
#include "tensor_core_loads.cuh"
#include "tensor_core_results.cuh"

namespace {

using Tile = tiles::TILE<STORED>;
using FilterLayout = DepthContiguous<STORED, Tile::COLUMNS, Tile::DEPTH>;
using FilterShare = Share<Tile, FilterLayout>;

// Both operands pass through registers where they are padded, which leaves room for two blocks.
constexpr int RESIDENT_BLOCKS = Tile::IS_ALIGNED ? Tile::RESIDENT_BLOCKS : 2;

// Along gy, neighbouring pixels of a phase are neighbours, and taps go backwards.
__device__ __forceinline__ Axis axis_of(const StridePhase& phase, int size) {
  return {phase.positions, phase.taps, 1, phase.first_source, -phase.source_step, size};
}

// A stage of B: neighbouring k of a tap, for each of the tile's channels.
__device__ __forceinline__ void load_filters(STORED* tile, const Channels<STORED>& w, const Convolution2d& g,
                                             const Phase& phase, const TapCursor<Tile>& cursor, int first_channel) {
  const int r = phase.rows.first_tap + cursor.row * phase.rows.tap_step;
  const int s = phase.columns.first_tap + cursor.column * phase.columns.tap_step;
  const int group_channels = g.group_channels;
  const int channel = first_channel + FilterShare::line();
  const int row = (r * g.S + s) * group_channels + channel;
  const int channels_left = cursor.row < phase.rows.taps ? group_channels - channel : 0;
  FilterShare::copy(tile, w.in_pieces, [&](int i) {
    const int down = i * FilterShare::STRIDE;
    return Piece<STORED>{w.at(row + down, cursor.channel), down < channels_left ? w.count - cursor.channel : 0};
  });
}

}  // namespace

extern "C" __global__ void __launch_bounds__(Tile::THREADS, RESIDENT_BLOCKS)
    convolution2d_backward_data_tensor(OPTIONAL STORED* __restrict__ gx, int gx_pitch,
                                       OUTPUT OPTIONAL float* __restrict__ sums, const STORED* __restrict__ gy,
                                       int gy_pitch, const STORED* __restrict__ w,
                                       OPTIONAL const STORED* __restrict__ saved, int saved_pitch,
                                       Convolution2d geometry, int splits, int accumulate) {
  DYNAMIC_SHARED(shared);
  const Convolution2d& g = geometry;
  const int group_channels = g.group_channels, group_filters = g.group_filters;
  const Phase phase = phase_of(g, blockIdx.z / splits);
  const int split = blockIdx.z % splits;
  const Walk walk = {axis_of(phase.rows, g.P), axis_of(phase.columns, g.Q)};
  const int positions = g.N * phase.rows.positions * phase.columns.positions;
  const int tile_rows = (positions - 1) / Tile::ROWS + 1, tile_columns = (group_channels - 1) / Tile::COLUMNS + 1;
  if (blockIdx.x >= tile_rows * tile_columns) return;  // this phase is smaller than the largest
  const TilePosition tile = tile_position(blockIdx.x, tile_rows, tile_columns);
  const int first_position = tile.row * Tile::ROWS, first_column = tile.column * Tile::COLUMNS;

  const Channels<STORED> gradient = channels_of_group(gy, gy_pitch, group_filters);
  const Channels<STORED> filters = channels_of_group(w, g.K, group_filters);
  const int depth_of_tap = padded_channels<Tile>(group_filters);
  const Part part = part_of_depth<Tile>(walk.rows.taps * walk.columns.taps * depth_of_tap, split, splits);
  TapCursor<Tile> cursor(walk, depth_of_tap, part.first * Tile::DEPTH + FilterShare::element());
  Patches<Tile> patches(walk, first_position, positions);
  patches.move_to(walk, cursor);

  const auto load = [&](STORED* rows, STORED* columns) {
    patches.load(rows, gradient, cursor.channel);
    load_filters(columns, filters, g, phase, cursor, first_column);
    if (cursor.advance(walk, depth_of_tap)) patches.move_to(walk, cursor);
  };
  Sums<Tile> tile_sums;
  sum_products<Tile, Patches<Tile>::Layout, FilterLayout>(tile_sums, reinterpret_cast<STORED*>(shared), part.steps,
                                                          load, [](const STORED*) {});

  const auto pixel_of = [&](int row) {
    const int position = first_position + row;
    const int line = position / walk.columns.positions, image = line / walk.rows.positions;
    const int h = phase.rows.first + (line - image * walk.rows.positions) * g.stride_rows;
    const int v = phase.columns.first + (position - line * walk.columns.positions) * g.stride_columns;
    return (image * g.H + h) * g.W + v;
  };
  const int rows = positions - first_position;
  if (sums) {
    const Rows<float> target = rows_of_group(sums, g.C, group_channels);
    const int column = first_column + result_column<Tile, float>();
    for_each_result<float>(tile_sums, shared, [&](int row, const Floats<RESULTS<float>>& values) {
      if (row >= rows || column >= group_channels) return;
      write_results(target, static_cast<long long>(split) * g.N * g.H * g.W + pixel_of(row), column, values);
    });
    return;
  }
  const Rows<STORED> target = rows_of_group(gx, gx_pitch, group_channels);
  const Rows<const STORED> mask = rows_of_group(saved, saved_pitch, group_channels);
  const int column = first_column + result_column<Tile, STORED>();
  for_each_result<STORED>(tile_sums, shared, [&](int row, Floats<RESULTS<STORED>> values) {
    if (row >= rows || column >= group_channels) return;
    const int pixel = pixel_of(row);
    if (saved) {
      const Floats<RESULTS<STORED>> kept = read_results(mask, pixel, column);
#pragma unroll
      for (int i = 0; i < RESULTS<STORED>; ++i) values[i] = kept[i] > 0.0f ? values[i] : 0.0f;
    }
    if (accumulate) {
      const Floats<RESULTS<STORED>> before = read_results(target, pixel, column);
#pragma unroll
      for (int i = 0; i < RESULTS<STORED>; ++i) values[i] += before[i];
    }
    write_results(target, pixel, column, values);
  });
}
