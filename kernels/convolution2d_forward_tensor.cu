// Two-dimensional convolution (cross-correlation), forward, on tensor cores, with bias and ReLU.
//
//   y[n,p,q,k] = f(bias[k] + sum over r,s,c of
//                  x[n, p * stride_rows + r * dilation_rows - padding_top,
//                       q * stride_columns + s * dilation_columns - padding_left, c] * w[r,s,c,k])
//
// Pixels outside the image count as 0. With G groups, filter k sees only the C/G channels of its own group. Factors are
// of the stored type (float: rounded to TF32), sums float32.
//
// Method: implicit GEMM (Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014). For each group,
//   A   rows: output pixels, N*P*Q       depth: taps and channels, R*S*C/G       patches of x, channels contiguous
//   B   depth: the same                  columns: filters, K/G                   w as it lies in memory
// Layout: x is N,H,W,C and y is N,P,Q,K with a pitch, w is R,S,C/G,K; bias is null or K numbers.
// The result goes to y or, as float, to wide_y; the other one is null.
// Grid: x runs over tiles of the result, y over groups, z over splits of the depth; 128 threads. With several splits,
// wide_y is splits x (N*P*Q) x K, and bias and ReLU are left to convolution2d_combine.cu.
// Shared memory: three stages of A and B (tensor_core_tile.cuh), 48, 36 or 24 KiB; afterwards the results pass through
// it (tensor_core_results.cuh).
//
// Architectures: sm_80 and later
// STORED: float | bfloat16 | float16
// TILE: aligned_128x128 | aligned_128x64 | aligned_64x64 | padded_128x64

#include "geometry.cuh"
#include "tensor_core_loads.cuh"
#include "tensor_core_results.cuh"

namespace {

using Tile = tiles::TILE<STORED>;
using FilterLayout = IndexContiguous<STORED, Tile::COLUMNS, Tile::DEPTH>;
using FilterShare = Share<Tile, FilterLayout>;

// A stage of B: some filters, which are the thread's own, at the depth of its lines. Where channels are padded, the
// rows of w that padding stands for do not exist.
__device__ __forceinline__ void load_filters(STORED* tile, const Channels<STORED>& w, int first_depth, int taps,
                                             int group_channels) {
  const int channels = padded_channels<Tile>(group_channels);
  const int depth = first_depth + FilterShare::line(), depth_left = taps * channels - depth;
  FilterShare::copy(tile, w.in_pieces, [&](int i) {
    const int down = i * FilterShare::STRIDE;
    int row = depth + down;
    bool exists = down < depth_left;
    if constexpr (!Tile::IS_ALIGNED) {
      const int tap = row / channels, channel = row % channels;
      row = tap * group_channels + channel;
      exists = exists && channel < group_channels;
    }
    return Piece<STORED>{w.at(row), exists ? w.count : 0};
  });
}

// y = f(sums + bias), from the tile's corner on, or the same as float.
template <class T>
__device__ __forceinline__ void store_outputs(const Sums<Tile>& sums, unsigned char* shared, const Rows<T>& y,
                                              long long first_row, int rows, int first_column, const float* bias,
                                              bool apply_relu) {
  const int column = first_column + result_column<Tile, T>();
  Floats<RESULTS<T>> offset = {};
#pragma unroll
  for (int i = 0; i < RESULTS<T>; ++i)
    if (bias && column + i < y.count) offset[i] = bias[blockIdx.y * y.count + column + i];
  for_each_result<T>(sums, shared, [&](int row, Floats<RESULTS<T>> values) {
    if (row >= rows || column >= y.count) return;
#pragma unroll
    for (int i = 0; i < RESULTS<T>; ++i) values[i] = apply_relu ? relu(values[i] + offset[i]) : values[i] + offset[i];
    write_results(y, first_row + row, column, values);
  });
}

}  // namespace

extern "C" __global__ void __launch_bounds__(Tile::THREADS, Tile::RESIDENT_BLOCKS)
    convolution2d_forward_tensor(OUTPUT OPTIONAL STORED* __restrict__ y, int y_pitch,
                                 OUTPUT OPTIONAL float* __restrict__ wide_y, int wide_y_pitch,
                                 const STORED* __restrict__ x, int x_pitch, const STORED* __restrict__ w,
                                 OPTIONAL const float* __restrict__ bias, Convolution2d geometry, int apply_relu) {
  DYNAMIC_SHARED(shared);
  const Convolution2d& g = geometry;
  const int group_channels = g.group_channels, group_filters = g.group_filters;
  const Channels<STORED> image = channels_of_group(x, x_pitch, group_channels);
  const Walk walk = {{g.P, g.R, g.stride_rows, -g.padding_top, g.dilation_rows, g.H},
                     {g.Q, g.S, g.stride_columns, -g.padding_left, g.dilation_columns, g.W}};
  const int channels = padded_channels<Tile>(group_channels);
  const int positions = g.N * g.P * g.Q;
  const TilePosition tile = tile_position(blockIdx.x, (positions - 1) / Tile::ROWS + 1,
                                          (group_filters - 1) / Tile::COLUMNS + 1);
  const int first_position = tile.row * Tile::ROWS, first_column = tile.column * Tile::COLUMNS;
  const Part part = part_of_depth<Tile>(g.R * g.S * channels, blockIdx.z, gridDim.z);

  const Channels<STORED> filters =
      channels_of_group(w, g.K, group_filters).from(first_column + FilterShare::element());
  int depth = part.first * Tile::DEPTH;
  TapCursor<Tile> cursor(walk, channels, depth + Patches<Tile>::Lines::element());
  Patches<Tile> patches(walk, first_position, positions);
  patches.move_to(walk, cursor);

  const auto load = [&](STORED* rows, STORED* columns) {
    patches.load(rows, image, cursor.channel);
    load_filters(columns, filters, depth, g.R * g.S, group_channels);
    depth += Tile::DEPTH;
    if (cursor.advance(walk, channels)) patches.move_to(walk, cursor);
  };
  Sums<Tile> sums;
  sum_products<Tile, Patches<Tile>::Layout, FilterLayout>(sums, reinterpret_cast<STORED*>(shared), part.steps, load,
                                                          [](const STORED*) {});

  const long long first_row = static_cast<long long>(blockIdx.z) * positions + first_position;
  const int rows = positions - first_position;
  if (wide_y)
    store_outputs(sums, shared, rows_of_group(wide_y, wide_y_pitch, group_filters), first_row, rows, first_column, bias,
                  apply_relu);
  else
    store_outputs(sums, shared, rows_of_group(y, y_pitch, group_filters), first_row, rows, first_column, bias,
                  apply_relu);
}
