// One block's share of a matrix product on ordinary cores: a tile of TILE x TILE sums, slice by slice of the depth.
//
//   sum[i][j] += sum over t of a[t][i] * b[t][j]          t runs over the SLICE rows of two slices in shared memory
//
// 256 threads stand in 16 rows and 16 columns. A thread of row u and column v computes the sums of rows 4u to 4u + 3
// and columns 4v to 4v + 3, and in a tile of 128 the same 64 rows or columns further on: a square of EDGE x EDGE sums
// in registers. For each t it reads 2 EDGE numbers, four at a time, for EDGE^2 multiply-adds. A warp is 4 rows of 8
// columns, so that its reads of b are 128 neighbouring bytes, and its reads of a few addresses that all share.
// (Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", 2008.)
//
// The file that includes this one declares the choice TILE: 128 | 64.
#pragma once

#include "quads.cuh"

constexpr int BLOCK_THREADS = 256;
constexpr int WARP = 32;
constexpr int HALF = 64;            // rows between the parts of a thread's square
constexpr int PARTS = TILE / HALF;  // 2 or 1, in each direction
constexpr int EDGE = QUAD * PARTS;
// Rows of a slice, 8 or 16: so many that each thread carries one quad of it from global to shared memory.
constexpr int SLICE = BLOCK_THREADS * QUAD / TILE;
// Four floats more than a row holds: rows stay aligned for quads, and a warp that stores the columns of
// place_in_column() meets each memory bank once.
constexpr int SHARED_ROW = TILE + QUAD;
// Blocks that must fit a multiprocessor, which bounds the registers of a thread to 128 or 80.
constexpr int RESIDENT_BLOCKS = TILE == 128 ? 2 : 3;

using SharedSlice = float[SLICE][SHARED_ROW];

// Which quad of a slice this thread carries: row t and column of its first element.
struct QuadPlace {
  int t, column;
};

// For matrices whose rows are contiguous in memory, the quad is four neighbours of a row: a warp reads 512 neighbouring
// bytes, or twice 256.
__device__ __forceinline__ QuadPlace place_in_row() {
  constexpr int QUADS_PER_ROW = TILE / QUAD;
  return {static_cast<int>(threadIdx.x) / QUADS_PER_ROW, static_cast<int>(threadIdx.x) % QUADS_PER_ROW * QUAD};
}

__device__ __forceinline__ void store_in_row(SharedSlice& slice, const QuadPlace& place, const float (&values)[QUAD]) {
  store_quad(&slice[place.t][place.column], values, QUAD, true);
}

// For matrices whose depth is contiguous in memory, the quad is rows t to t + 3 of one column. Two neighbouring lanes
// read 32 neighbouring bytes, a sector; the stores of 16 columns by 2 quads fall into 32 banks.
__device__ __forceinline__ QuadPlace place_in_column() {
  constexpr int COLUMNS_PER_WARP = WARP / 2, WARPS_PER_ROW = TILE / COLUMNS_PER_WARP;
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  return {QUAD * (lane % 2 + warp / WARPS_PER_ROW * 2), lane / 2 + COLUMNS_PER_WARP * (warp % WARPS_PER_ROW)};
}

__device__ __forceinline__ void store_in_column(SharedSlice& slice, const QuadPlace& place,
                                                const float (&values)[QUAD]) {
#pragma unroll
  for (int j = 0; j < QUAD; ++j) slice[place.t + j][place.column] = values[j];
}

// Where a thread's square of sums lies in the tile.
struct Square {
  int first_row, first_column;

  // The row of sum[i], and the column of the first number of sum[..][QUAD * part].
  __device__ __forceinline__ int row(int i) const { return i / QUAD * HALF + first_row + i % QUAD; }
  __device__ __forceinline__ int column(int part) const { return part * HALF + first_column; }
};

__device__ __forceinline__ Square square_of_thread() {
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  return {QUAD * (warp / 2 * 4 + lane / 8), QUAD * (warp % 2 * 8 + lane % 8)};
}

__device__ __forceinline__ void multiply_slices(float (&sum)[EDGE][EDGE], const SharedSlice& a, const SharedSlice& b,
                                                const Square& square) {
#pragma unroll 2  // more would need more registers than RESIDENT_BLOCKS leave a thread
  for (int t = 0; t < SLICE; ++t) {
    float a_values[PARTS][QUAD], b_values[PARTS][QUAD];
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
      load_quad(a_values[part], &a[t][square.first_row + part * HALF], QUAD, true);
      load_quad(b_values[part], &b[t][square.first_column + part * HALF], QUAD, true);
    }
#pragma unroll
    for (int i = 0; i < EDGE; ++i) {
#pragma unroll
      for (int j = 0; j < EDGE; ++j)
        sum[i][j] = fmaf(a_values[i / QUAD][i % QUAD], b_values[j / QUAD][j % QUAD], sum[i][j]);
    }
  }
}

// The four sums of a row that are neighbours in memory.
__device__ __forceinline__ void quad_of(float (&values)[QUAD], const float (&sum)[EDGE][EDGE], int i, int part) {
#pragma unroll
  for (int j = 0; j < QUAD; ++j) values[j] = sum[i][part * QUAD + j];
}
