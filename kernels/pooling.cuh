// What the pooling kernels share: which pixel a thread works on, and which places of which windows belong to it.
//
// Grid: x over the pixels of all images, blockDim.y at a time; y over the channels, blockDim.x threads at a time, each
// with COUNT neighbouring channels. So neighbouring threads take neighbouring channels, then neighbouring pixels.
#pragma once

#include "geometry.cuh"

// Channels `channel` and following of one pixel of one image.
struct Position {
  int image, row, column, channel;
  bool exists;
};

// Where this thread works in images of `rows` x `columns` pixels.
template <int COUNT>
__device__ __forceinline__ Position this_position(int images, int rows, int columns, int channels) {
  const unsigned pixel = blockIdx.x * blockDim.y + threadIdx.y;
  const unsigned line = pixel / columns;
  const unsigned image = line / rows;
  Position at;
  at.image = static_cast<int>(image);
  at.row = static_cast<int>(line - image * rows);
  at.column = static_cast<int>(pixel - line * columns);
  at.channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * COUNT;
  at.exists = at.image < images && at.channel < channels;
  return at;
}

// Numbers from `first` to `stop` - 1.
struct Range {
  int first, stop;

  __device__ __forceinline__ int count() const { return stop - first; }
};

// The rows (columns) of the image that the window of output row (column) `output` covers; at least one.
__device__ __forceinline__ Range pixels_under(int output, int stride, int padding, int window, int size) {
  const int start = output * stride - padding;
  return {max(start, 0), min(start + window, size)};
}

// The output rows (columns) whose windows cover row (column) `pixel` of the image; there may be none.
__device__ __forceinline__ Range windows_over(int pixel, int stride, int padding, int window, int outputs) {
  const int last_start = pixel + padding;           // of a window that begins at this pixel, in the padded image
  const int first_start = last_start - window + 1;  // of one that ends here
  return {first_start > 0 ? (first_start + stride - 1) / stride : 0, min(last_start / stride + 1, outputs)};
}

struct Window {
  Range rows, columns;

  __device__ __forceinline__ int pixels() const { return rows.count() * columns.count(); }
};

__device__ __forceinline__ Window window_of(const Pool2d& g, int p, int q) {
  return {pixels_under(p, g.stride_rows, g.padding_top, g.R, g.H),
          pixels_under(q, g.stride_columns, g.padding_left, g.S, g.W)};
}

// The windows over a pixel of the image: ranges of p and of q.
__device__ __forceinline__ Window windows_of(const Pool2d& g, int row, int column) {
  return {windows_over(row, g.stride_rows, g.padding_top, g.R, g.P),
          windows_over(column, g.stride_columns, g.padding_left, g.S, g.Q)};
}

// The number r * S + s of the place that a pixel has in the window of output (p, q).
__device__ __forceinline__ int place_in_window(const Pool2d& g, int p, int q, int row, int column) {
  const int r = row + g.padding_top - p * g.stride_rows, s = column + g.padding_left - q * g.stride_columns;
  return r * g.S + s;
}

// Channel `channel` of a pixel, in an array of images of `rows` x `columns` pixels, one every `pitch` elements.
template <class T>
__device__ __forceinline__ T* pixel_at(T* array, int pitch, int rows, int columns, int image, int row, int column,
                                       int channel) {
  const int pixel = (image * rows + row) * columns + column;
  return array + static_cast<long long>(pixel) * pitch + channel;
}
