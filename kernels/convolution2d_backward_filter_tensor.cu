// Two-dimensional convolution, gradient of the filters and of the bias, on tensor cores.
//
//   gw[r,s,c,k] = sum over n,p,q of x[n, p * stride_rows + r * dilation_rows - padding_top,
//                                     q * stride_columns + s * dilation_columns - padding_left, c] * gy[n,p,q,k]
//   gbias[k]    = sum over n,p,q of gy[n,p,q,k]
//
// Factors are of the stored type (float: rounded to TF32; those of gbias are not), sums float32.
//
// Method: implicit GEMM as in convolution2d_forward_tensor.cu, with the pixels as depth:
//   A   rows: taps and channels, R*S*C/G   depth: output pixels, N*P*Q   patches of x, channels contiguous
//   B   depth: the same                    columns: filters, K/G         gy as it lies in memory
// The blocks of the first tile of rows also add up their columns of gy, which pass through shared memory anyway.
// Layout: x is N,H,W,C and gy is N,P,Q,K, each with a pitch; gw is R,S,C/G,K; gbias is null or K numbers. With
// `accumulate`, results are added to what is there. With several splits, gw and gbias have one place for each.
// Grid: x runs over tiles of the result, y over groups, z over splits of the depth; 128 threads.
// Shared memory: three stages of A and B (tensor_core_tile.cuh), 48, 36 or 24 KiB; afterwards the results pass through
// it (tensor_core_results.cuh).
//
// Architectures: sm_80 and later
// STORED: float | bfloat16 | float16
// TILE: aligned_128x128 | aligned_128x64 | aligned_64x64 | padded_64x64

#include "counter.cuh"
#include "geometry.cuh"
#include "tensor_core_loads.cuh"
#include "tensor_core_results.cuh"

namespace {

using Tile = tiles::TILE<STORED>;
using PatchLayout = IndexContiguous<STORED, Tile::ROWS, Tile::DEPTH>;
using PatchShare = Share<Tile, PatchLayout>;
using GradientLayout = IndexContiguous<STORED, Tile::COLUMNS, Tile::DEPTH>;
using GradientShare = Share<Tile, GradientLayout>;

// A stage of A: some channels of one tap, which are the thread's own, at the output pixels of its lines.
class PatchColumns {
 public:
  __device__ __forceinline__ PatchColumns(const Convolution2d& g, const Channels<STORED>& image, int first_row,
                                          int first_position) {
    const int channels = padded_channels<Tile>(image.count);
    const int row = first_row + PatchShare::element(), tap = row / channels;
    x = image.from(row % channels);
    if (tap >= g.R * g.S) x.count = 0;
    row_offset = tap / g.S * g.dilation_rows - g.padding_top;
    column_offset = tap % g.S * g.dilation_columns - g.padding_left;
    position = counter_of(first_position + PatchShare::line(), g.P, g.Q);
    step = counter_of(PatchShare::STRIDE, g.P, g.Q);
  }

  // Positions beyond the last belong to images beyond the last.
  __device__ __forceinline__ void load(STORED* tile, const Convolution2d& g) {
    PatchShare::copy(tile, x.in_pieces, [&](int) {
      const int h = position.middle * g.stride_rows + row_offset, v = position.low * g.stride_columns + column_offset;
      const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(g.H) &&
                          static_cast<unsigned>(v) < static_cast<unsigned>(g.W) && position.high < g.N;
      const Piece<STORED> piece = {x.at((position.high * g.H + h) * g.W + v), inside ? x.count : 0};
      advance(position, step, g.P, g.Q);
      return piece;
    });
  }

 private:
  Channels<STORED> x;  // from the thread's first channel on
  int row_offset, column_offset;
  Counter position, step;  // image, row and column of the output pixel; the same from one line to the next
};

// The sums of the columns of B. Each thread adds up the pieces that it copied: their places differ by constants.
class ColumnSums {
 public:
  __device__ __forceinline__ void add(const STORED* tile) {
#pragma unroll
    for (int i = 0; i < GradientShare::COUNT; ++i) {
      const auto values = load_floats<Tile::PIECE>(tile + GradientShare::place(i));
#pragma unroll
      for (int column = 0; column < Tile::PIECE; ++column) sum[column] += values[column];
    }
  }

  // The whole block calls it; store(column, total) is called once for each column.
  template <class Store>
  __device__ __forceinline__ void finish(unsigned char* shared, Store store) {
    float* parts = reinterpret_cast<float*>(shared);
#pragma unroll
    for (int column = 0; column < Tile::PIECE; ++column)
      parts[GradientShare::line() * Tile::COLUMNS + GradientShare::element() + column] = sum[column];
    __syncthreads();
    if (threadIdx.x < Tile::COLUMNS) {
      float total = 0.0f;
#pragma unroll
      for (int line = 0; line < GradientShare::STRIDE; ++line) total += parts[line * Tile::COLUMNS + threadIdx.x];
      store(threadIdx.x, total);
    }
    __syncthreads();  // the results overwrite what slower warps still read
  }

 private:
  Floats<Tile::PIECE> sum = {};
};

}  // namespace

extern "C" __global__ void __launch_bounds__(Tile::THREADS, Tile::RESIDENT_BLOCKS)
    convolution2d_backward_filter_tensor(float* __restrict__ gw, OPTIONAL float* __restrict__ gbias,
                                         const STORED* __restrict__ x, int x_pitch, const STORED* __restrict__ gy,
                                         int gy_pitch, Convolution2d geometry, int accumulate) {
  DYNAMIC_SHARED(shared);
  const Convolution2d& g = geometry;
  const int group_channels = g.group_channels, group_filters = g.group_filters;
  const int channels = padded_channels<Tile>(group_channels), taps = g.R * g.S;
  const int positions = g.N * g.P * g.Q;
  const TilePosition tile = tile_position(blockIdx.x, (taps * channels - 1) / Tile::ROWS + 1,
                                          (group_filters - 1) / Tile::COLUMNS + 1);
  const int first_row = tile.row * Tile::ROWS, first_column = tile.column * Tile::COLUMNS;
  const Part part = part_of_depth<Tile>(positions, blockIdx.z, gridDim.z);

  const Channels<STORED> image = channels_of_group(x, x_pitch, group_channels);
  const Channels<STORED> gradient =
      channels_of_group(gy, gy_pitch, group_filters).from(first_column + GradientShare::element());
  int position = part.first * Tile::DEPTH + GradientShare::line();
  PatchColumns patches(g, image, first_row, part.first * Tile::DEPTH);
  const auto load = [&](STORED* rows, STORED* columns) {
    patches.load(rows, g);
    GradientShare::copy(columns, gradient.in_pieces, [&](int i) {
      const int down = i * GradientShare::STRIDE;
      return Piece<STORED>{gradient.at(position + down), down < positions - position ? gradient.count : 0};
    });
    position += Tile::DEPTH;
  };
  const bool adds_columns = gbias && tile.row == 0;
  ColumnSums column_sums;
  Sums<Tile> sums;
  STORED* const stages = reinterpret_cast<STORED*>(shared);
  if (adds_columns)  // a loop of their own, so that the other blocks do not step over these sums
    sum_products<Tile, PatchLayout, GradientLayout>(sums, stages, part.steps, load,
                                                    [&](const STORED* columns) { column_sums.add(columns); });
  else
    sum_products<Tile, PatchLayout, GradientLayout>(sums, stages, part.steps, load, [](const STORED*) {});
  if (adds_columns)
    column_sums.finish(shared, [&](int local_column, float total) {
      if (local_column >= group_filters - first_column) return;
      float& target = gbias[blockIdx.z * g.K + blockIdx.y * group_filters + first_column + local_column];
      target = accumulate ? target + total : total;
    });

  const int column = first_column + result_column<Tile, float>();
  const Rows<float> target = rows_of_group(gw, g.K, group_filters);
  const long long split_row = static_cast<long long>(blockIdx.z) * taps * group_channels;
  for_each_result<float>(sums, shared, [&](int local_row, Floats<RESULTS<float>> values) {
    const int tap = (first_row + local_row) / channels, channel = (first_row + local_row) % channels;
    if (tap >= taps || channel >= group_channels || column >= group_filters) return;
    const long long row = split_row + tap * group_channels + channel;
    if (accumulate) {
      const Floats<RESULTS<float>> before = read_results(target, row, column);
#pragma unroll
      for (int i = 0; i < RESULTS<float>; ++i) values[i] += before[i];
    }
    write_results(target, row, column, values);
  });
}
