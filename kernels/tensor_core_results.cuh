// From the sums of tensor_core_tile.cuh to rows of results in global memory.
//
// A lane of a tensor-core product holds two neighbouring sums of two rows: 8 bytes here and there. Each warp passes its
// sums through shared memory, 16 rows at a time, after which a lane holds the neighbours that make 16 bytes of the
// result's type, and a warp's accesses are whole rows of the tile. Rows of shared memory are 32 bytes longer than the
// tile's, and halves of 8 neighbours change places after every fourth of them: with that, all accesses touch every
// memory bank equally often.
#pragma once

#include "tensor_core_tile.cuh"
#include "vectors.cuh"

// Neighbours that a lane gets for results of type T.
template <class T>
constexpr int RESULTS = WIDEST_ACCESS / static_cast<int>(sizeof(T));

constexpr int PRODUCT_ROWS = 16;  // of a tensor-core product

template <class Shape>
struct Exchange {
  static constexpr int EIGHTS_A_ROW = Shape::WARP_COLUMNS / 8;
  static constexpr int PITCH = Shape::WARP_COLUMNS + 8;
  static constexpr int WARP_FLOATS = PRODUCT_ROWS * PITCH;
  static_assert(WARP_FLOATS * 4 * Shape::THREADS / WARP_LANES <= Shape::SHARED_BYTES, "the stages make room for it");

  static __device__ __forceinline__ int place(int row, int column) {
    const int eighth = row * EIGHTS_A_ROW + column / 8;
    return row * PITCH + (column / 4 ^ eighth / 4 % 2) * 4 + column % 4;
  }
};

template <class Shape, class T>
constexpr int LANES_A_ROW = Shape::WARP_COLUMNS / RESULTS<T>;

// The first of the columns whose results this lane gets, in every row.
template <class Shape, class T>
__device__ __forceinline__ int result_column() {
  return first_column_of_warp<Shape>() + threadIdx.x % LANES_A_ROW<Shape, T> * RESULTS<T>;
}

// Calls store(row, values) for all neighbouring sums of the tile that this lane gets, for results of type T; row counts
// from the tile's corner.
template <class T, class Shape, class Store>
__device__ __forceinline__ void for_each_result(const Sums<Shape>& sums, unsigned char* shared, Store store) {
  using Exchange = Exchange<Shape>;
  constexpr int LANES = LANES_A_ROW<Shape, T>;
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
#pragma unroll 1  // little is won by more code: this runs once a tile
    for (int row = lane / LANES; row < PRODUCT_ROWS; row += WARP_LANES / LANES) {
      Floats<RESULTS<T>> values;
#pragma unroll
      for (int k = 0; k < RESULTS<T>; k += 4) {
        const int column = lane % LANES * RESULTS<T> + k;
        const float4 four = *reinterpret_cast<const float4*>(exchange + Exchange::place(row, column));
        values[k] = four.x;
        values[k + 1] = four.y;
        values[k + 2] = four.z;
        values[k + 3] = four.w;
      }
      store(first_row_of_warp<Shape>() + i * PRODUCT_ROWS + row, values);
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
  bool is_aligned;  // neighbours may be accessed by 16 bytes

  __device__ __forceinline__ T* at(long long row, int column) const { return first + row * pitch + column; }
};

template <class T>
__device__ __forceinline__ Rows<T> rows_of_group(T* array, int pitch, int count) {
  const bool is_aligned = reinterpret_cast<unsigned long long>(array) % WIDEST_ACCESS == 0;
  return {array + blockIdx.y * count, pitch, count, is_aligned && pitch % RESULTS<T> == 0 && count % RESULTS<T> == 0};
}

// The neighbours from that row and column on, zeros beyond the last column.
template <class T>
__device__ __forceinline__ Floats<RESULTS<T>> read_results(const Rows<T>& rows, long long row, int column) {
  const T* from = rows.at(row, column);
  if (rows.is_aligned) return load_floats<RESULTS<T>>(from);
  Floats<RESULTS<T>> values;
#pragma unroll
  for (int i = 0; i < RESULTS<T>; ++i) values[i] = column + i < rows.count ? to_float(from[i]) : 0.0f;
  return values;
}

template <class T>
__device__ __forceinline__ void write_results(const Rows<T>& rows, long long row, int column,
                                              const Floats<RESULTS<T>>& values) {
  T* to = rows.at(row, column);
  if (rows.is_aligned) {
    store_floats(to, values);
    return;
  }
#pragma unroll
  for (int i = 0; i < RESULTS<T>; ++i)
    if (column + i < rows.count) to[i] = from_float<T>(values[i]);
}
