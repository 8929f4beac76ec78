// Images seen as a matrix whose columns are channels: how the blocks of a grid share its rows.
//
// A block has blockDim.x lanes side by side, which take neighbouring channels, and blockDim.y rows of such lanes, a
// power of two; together COLUMN_THREADS. gridDim.y runs over tiles of channels. gridDim.x runs over slices of rows,
// the slices of one image behind another: the rows of an image are cut into `slices` runs of `slice_rows`, the last one
// shorter, and each block walks over one of them. Where all images share their columns they count as one image.
#pragma once

constexpr int COLUMN_THREADS = 256;

// How many rows a slice of an image has: slice_rows, but for the last one.
__device__ __forceinline__ int rows_in_slice(int rows, int slice_rows, int slice) {
  const int left = rows - slice * slice_rows;
  return left < slice_rows ? left : slice_rows;
}

// The rows of this block, counted over all images.
struct RowSlice {
  int image;
  int first, end;

  __device__ __forceinline__ RowSlice(int rows, int slices, int slice_rows) {
    image = blockIdx.x / slices;
    const int slice = blockIdx.x % slices;
    first = image * rows + slice * slice_rows;
    end = first + rows_in_slice(rows, slice_rows, slice);
  }
};

// The first of the WIDTH channels of this thread; it may lie behind the last channel there is.
template <int WIDTH>
__device__ __forceinline__ int first_channel_of_lane() {
  return (blockIdx.y * blockDim.x + threadIdx.x) * WIDTH;
}

// Where the numbers of a row begin.
template <class T>
__device__ __forceinline__ T* row_of(T* array, int pitch, int row) {
  return array + static_cast<long long>(row) * pitch;
}
