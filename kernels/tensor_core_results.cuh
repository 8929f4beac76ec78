// From the sums of tensor_core_tile.cuh to rows of results in global memory.
//
// A lane of a tensor-core product holds two neighbouring sums of two rows: 8 bytes here and there. Each warp passes its
// sums through shared memory, 16 rows at a time, after which a lane holds 8 neighbours, and a warp's accesses are whole
// rows of the tile. Rows of shared memory are 32 bytes longer than the tile's, and halves of 8 neighbours change places
// after every fourth lane: with that, both directions touch every memory bank equally often.
#pragma once

#include "tensor_core_tile.cuh"
#include "vectors.cuh"

constexpr int RESULTS = 8;        // neighbours that a lane holds
constexpr int PRODUCT_ROWS = 16;  // of a tensor-core product

template <class Shape>
struct Exchange {
  static constexpr int LANES_A_ROW = Shape::WARP_COLUMNS / RESULTS;
  static constexpr int PITCH = Shape::WARP_COLUMNS + RESULTS;
  static constexpr int WARP_FLOATS = PRODUCT_ROWS * PITCH;
  static_assert(WARP_FLOATS * 4 * Shape::THREADS / WARP_LANES <= Shape::SHARED_BYTES, "the stages make room for it");

  static __device__ __forceinline__ int place(int row, int column) {
    const int lane = row * LANES_A_ROW + column / RESULTS;  // that will hold it
    return row * PITCH + (column / 4 ^ lane / 4 % 2) * 4 + column % 4;
  }
};

// The first of the 8 columns whose results this lane gets, in every row.
template <class Shape>
__device__ __forceinline__ int result_column() {
  return first_column_of_warp<Shape>() + threadIdx.x % Exchange<Shape>::LANES_A_ROW * RESULTS;
}

// Calls store(row, values) for every 8 neighbouring sums of the tile that this lane gets; row counts from its corner.
template <class Shape, class Store>
__device__ __forceinline__ void for_each_result(const Sums<Shape>& sums, unsigned char* shared, Store store) {
  using Exchange = Exchange<Shape>;
  const int lane = threadIdx.x % WARP_LANES;
  float* exchange = reinterpret_cast<float*>(shared) + threadIdx.x / WARP_LANES * Exchange::WARP_FLOATS;
#pragma unroll
  for (int i = 0; i < Sums<Shape>::ROW_TILES; ++i) {
#pragma unroll
    for (int j = 0; j < Sums<Shape>::COLUMN_TILES; ++j) {
      const float(&d)[4] = sums.of[i][j];
      const int row = lane / 4, column = j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(exchange + Exchange::place(row, column)) = make_float2(d[0], d[1]);
      *reinterpret_cast<float2*>(exchange + Exchange::place(row + 8, column)) = make_float2(d[2], d[3]);
    }
    __syncwarp();
    const int column = lane % Exchange::LANES_A_ROW * RESULTS;
#pragma unroll 1  // little is won by more code: this runs once a tile
    for (int row = lane / Exchange::LANES_A_ROW; row < PRODUCT_ROWS; row += WARP_LANES / Exchange::LANES_A_ROW) {
      const float4 left = *reinterpret_cast<const float4*>(exchange + Exchange::place(row, column));
      const float4 right = *reinterpret_cast<const float4*>(exchange + Exchange::place(row, column + 4));
      store(first_row_of_warp<Shape>() + i * PRODUCT_ROWS + row,
            Floats<RESULTS>{{left.x, left.y, left.z, left.w, right.x, right.y, right.z, right.w}});
    }
    __syncwarp();  // the next rows overwrite what slower lanes still read
  }
}

// An array of rows of which `count` elements belong to this block's group.
template <class T>
struct Rows {
  T* first;
  int pitch;
  int count;
  bool is_aligned;  // 8 neighbours may be accessed by 16 bytes
};

template <class T>
__device__ __forceinline__ Rows<T> rows_of_group(T* array, int pitch, int count) {
  const bool is_aligned = reinterpret_cast<unsigned long long>(array) % WIDEST_ACCESS == 0;
  return {array + blockIdx.y * count, pitch, count, is_aligned && pitch % RESULTS == 0 && count % RESULTS == 0};
}

// The 8 elements of that row and column, zeros beyond the last column.
template <class T>
__device__ __forceinline__ Floats<RESULTS> read_results(const Rows<T>& rows, long long row, int column) {
  constexpr int WIDTH = WIDEST_ACCESS / static_cast<int>(sizeof(T));
  const T* from = rows.first + row * rows.pitch + column;
  Floats<RESULTS> values;
#pragma unroll
  for (int i = 0; i < RESULTS; i += WIDTH) {
    if (rows.is_aligned) {
      const auto part = load_floats<WIDTH>(from + i);
#pragma unroll
      for (int j = 0; j < WIDTH; ++j) values[i + j] = part[j];
    } else {
#pragma unroll
      for (int j = i; j < i + WIDTH; ++j) values[j] = column + j < rows.count ? to_float(from[j]) : 0.0f;
    }
  }
  return values;
}

template <class T>
__device__ __forceinline__ void write_results(const Rows<T>& rows, long long row, int column,
                                              const Floats<RESULTS>& values) {
  constexpr int WIDTH = WIDEST_ACCESS / static_cast<int>(sizeof(T));
  T* to = rows.first + row * rows.pitch + column;
#pragma unroll
  for (int i = 0; i < RESULTS; i += WIDTH) {
    if (rows.is_aligned) {
      Floats<WIDTH> part;
#pragma unroll
      for (int j = 0; j < WIDTH; ++j) part[j] = values[i + j];
      store_floats(to + i, part);
    } else {
#pragma unroll
      for (int j = i; j < i + WIDTH; ++j)
        if (column + j < rows.count) to[j] = from_float<T>(values[j]);
    }
  }
}
