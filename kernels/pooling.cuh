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

// A window over a given row (column) of the image: that of output row (column) `output`, in which it has the place r
// (s). The windows over it are those with output >= 0 and a place below R (S).
struct Overlap {
  int output, place;

  __device__ __forceinline__ Overlap previous(int stride) const { return {output - 1, place + stride}; }
};

// The last window that starts at or before row (column) `pixel`. Divides once; the others follow by `previous`.
__device__ __forceinline__ Overlap last_window_over(int pixel, int stride, int padding, int outputs) {
  const unsigned place = pixel + padding;  // in the padded image
  const int output = min(static_cast<int>(place / stride), outputs - 1);
  return {output, static_cast<int>(place) - output * stride};
}

// Calls f(p, q, r * S + s) for the windows over a pixel of the image, from the last to the first: its places rise.
template <class Function>
__device__ __forceinline__ void for_each_window_over(const Pool2d& g, int row, int column, Function f) {
  const Overlap last_q = last_window_over(column, g.stride_columns, g.padding_left, g.Q);
  for (Overlap p = last_window_over(row, g.stride_rows, g.padding_top, g.P); p.output >= 0 && p.place < g.R;
       p = p.previous(g.stride_rows)) {
    for (Overlap q = last_q; q.output >= 0 && q.place < g.S; q = q.previous(g.stride_columns))
      f(p.output, q.output, p.place * g.S + q.place);
  }
}

struct Window {
  Range rows, columns;

  __device__ __forceinline__ int pixels() const { return rows.count() * columns.count(); }
};

__device__ __forceinline__ Window window_of(const Pool2d& g, int p, int q) {
  return {pixels_under(p, g.stride_rows, g.padding_top, g.R, g.H),
          pixels_under(q, g.stride_columns, g.padding_left, g.S, g.W)};
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
