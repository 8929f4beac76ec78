// The softmax of one row, which a block computes together.
#pragma once

#include "primitives.cuh"
#include "row_reduction.cuh"

// softmax(x)[k] = exp(x[k] - largest) / sum. The largest score is subtracted so that no exponential overflows.
struct Softmax {
  float largest;
  float sum;  // of exp(x[k] - largest) over k

  __device__ __forceinline__ float probability(float x) const { return expf(x - largest) / sum; }
  __device__ __forceinline__ float log_probability(float x) const { return x - largest - logf(sum); }
};

// A NaN, or an infinity, makes the sum a NaN, and so every probability of the row.
template <class T>
__device__ __forceinline__ Softmax softmax_of_row(const T* x, int classes) {
  Softmax row;
  row.largest = reduce_row(classes, to_float(x[0]), Larger(), [=](int k) { return to_float(x[k]); });
  const float largest = row.largest;
  row.sum = reduce_row(classes, 0.0f, Add(), [=](int k) { return expf(to_float(x[k]) - largest); });
  return row;
}
