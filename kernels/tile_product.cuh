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
constexpr int SLICE = 16;
constexpr int HALF = 64;             // rows between the parts of a thread's square
constexpr int PARTS = TILE / HALF;   // 2 or 1, in each direction
constexpr int EDGE = QUAD * PARTS;
// Four floats more than a row holds: rows stay aligned for quads, and a warp that stores the columns of
// place_in_column() meets each memory bank once.
constexpr int SHARED_ROW = TILE + 4;
// Blocks that must fit a multiprocessor, which bounds the registers of a thread: 3 to 80, 2 to 128. Before sm_80 the
// shared memory of large tiles leaves room for one block only.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int RESIDENT_BLOCKS = TILE == 128 ? 1 : 3;
#else
constexpr int RESIDENT_BLOCKS = TILE == 128 ? 2 : 3;
#endif

using SharedSlice = float[SLICE][SHARED_ROW];

// Each thread carries PARTS quads of a slice from global to shared memory, in one of two ways.
//
// Along rows: the quad is 4 neighbours of one row t. A warp's quads are neighbours in memory.
constexpr int QUADS_PER_ROW = TILE / QUAD;
constexpr int ROWS_PER_PASS = BLOCK_THREADS / QUADS_PER_ROW;

struct PlaceInRow {
  int t, column;  // of the first quad; the others are ROWS_PER_PASS rows below
};

__device__ __forceinline__ PlaceInRow place_in_row() {
  return {static_cast<int>(threadIdx.x) / QUADS_PER_ROW, static_cast<int>(threadIdx.x) % QUADS_PER_ROW * QUAD};
}

__device__ __forceinline__ void store_rows(SharedSlice& slice, const PlaceInRow& place,
                                           const float (&values)[PARTS][QUAD]) {
#pragma unroll
  for (int part = 0; part < PARTS; ++part)
    store_quad(&slice[place.t + part * ROWS_PER_PASS][place.column], values[part], QUAD, true);
}

// Along columns: the quad is rows t to t + 3 of one column, for matrices whose depth is contiguous in memory. Two
// neighbouring lanes read 32 neighbouring bytes, a sector; 16 columns by 2 quads fall into 32 banks.
struct PlaceInColumn {
  int t, column;  // of the first quad; the others are HALF columns to the right
};

__device__ __forceinline__ PlaceInColumn place_in_column() {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  return {QUAD * (lane % 2 + 2 * (warp % 2)), lane / 2 + 16 * (warp / 2)};
}

__device__ __forceinline__ void store_columns(SharedSlice& slice, const PlaceInColumn& place,
                                              const float (&values)[PARTS][QUAD]) {
#pragma unroll
  for (int part = 0; part < PARTS; ++part) {
#pragma unroll
    for (int j = 0; j < QUAD; ++j) slice[place.t + j][place.column + part * HALF] = values[part][j];
  }
}

// Where a thread's square of sums lies in the tile.
struct Square {
  int first_row, first_column;

  // The row of sum[i], and the column of the first number of sum[..][QUAD * part].
  __device__ __forceinline__ int row(int i) const { return i / QUAD * HALF + first_row + i % QUAD; }
  __device__ __forceinline__ int column(int part) const { return part * HALF + first_column; }
};

__device__ __forceinline__ Square square_of_thread() {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  return {QUAD * (warp / 2 * 4 + lane / 8), QUAD * (warp % 2 * 8 + lane % 8)};
}

__device__ __forceinline__ void multiply_slices(float (&sum)[EDGE][EDGE], const SharedSlice& a, const SharedSlice& b,
                                                const Square& square) {
#pragma unroll
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
