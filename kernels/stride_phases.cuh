// The gradient with respect to the input of a strided convolution, without a single product with zero.
//
// In one direction, input row h receives gy[p] w[r] from every tap r for which p * stride = h + padding - r * dilation
// has a whole p. Which taps these are depends only on h modulo the stride. So the rows h = phase, phase + stride, ...
// form a convolution of their own: its taps are every tap_step-th one, and from one input row to the next p grows by
// one (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", section 4, read backwards).
#pragma once

#include "geometry.cuh"

// One phase in one direction; rows stand for columns, too.
struct StridePhase {
  int positions, first;           // how many input rows there are: first, first + stride, ...
  int taps, first_tap, tap_step;  // first_tap, first_tap + tap_step, ... ; perhaps none
  int first_source;               // the row of gy that first_tap brings to input row `first`
  int source_step;                // from one of these taps to the next, the row of gy is so much smaller
};

// Phase 0 to min(stride, size) - 1 of an input of `size` rows under a window of `window` taps.
__device__ __forceinline__ StridePhase stride_phase(int phase, int size, int window, int stride, int padding,
                                                    int dilation) {
  const auto reaches = [=](int tap) { return (phase + padding - tap * dilation) % stride == 0; };
  StridePhase result;
  result.first = phase;
  result.positions = (size - phase + stride - 1) / stride;
  result.first_tap = 0;
  while (result.first_tap < window && !reaches(result.first_tap)) ++result.first_tap;
  result.tap_step = 1;
  while (result.first_tap + result.tap_step < window && !reaches(result.first_tap + result.tap_step))
    ++result.tap_step;
  result.taps = (window - result.first_tap + result.tap_step - 1) / result.tap_step;
  result.first_source = (phase + padding - result.first_tap * dilation) / stride;
  result.source_step = result.tap_step * dilation / stride;
  return result;
}

// One phase in both directions: number 0 to min(stride_rows, H) * min(stride_columns, W) - 1.
struct Phase {
  StridePhase rows, columns;
};

__device__ __forceinline__ Phase phase_of(const Convolution2d& g, int number) {
  const int across = min(g.stride_columns, g.W);
  return {stride_phase(number / across, g.H, g.R, g.stride_rows, g.padding_top, g.dilation_rows),
          stride_phase(number % across, g.W, g.S, g.stride_columns, g.padding_left, g.dilation_columns)};
}
