// What the passes of batch norm and group norm hand to each other: moments, sums and coefficients of channels.
#pragma once

#include "columns.cuh"
#include "reduction.cuh"

// How many numbers a channel has: in the sums of the forward and of the backward pass, and in the coefficients that are
// made of them.
constexpr int MOMENT_KINDS = 3;       // shift, rest, squares
constexpr int PRODUCT_KINDS = 2;      // gy, gy * (x - mean)
constexpr int COEFFICIENT_KINDS = 3;  // shift, scale, offset
constexpr int BACKWARD_KINDS = 4;     // factor, shift, scale, offset

// Mean and sum of squared distances from it, for WIDTH columns of `count` rows each.
//
// The mean is kept in two parts, shift + rest, where the shift is one of the column's own numbers: where a mean of 1000
// stands beside a deviation of 0.01, one float could not hold it well enough. Sums of distances from a number of the
// column are accurate however large the mean is: the square of that number's own distance from the mean is part of the
// result, so what rounding costs is at most `count` units in the last place.
template <int WIDTH>
struct Moments {
  float count;
  float shift[WIDTH], rest[WIDTH], squares[WIDTH];

  // Adds the moments of other rows (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
  // sample variances", 1979).
  __device__ __forceinline__ void merge(const Moments& other) {
    if (other.count == 0.0f) return;
    if (count == 0.0f) {
      *this = other;
      return;
    }
    const float share = other.count / (count + other.count);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      const float distance = (other.shift[i] - shift[i]) + (other.rest[i] - rest[i]);
      rest[i] = fmaf(distance, share, rest[i]);
      squares[i] += fmaf(distance * distance, count * share, other.squares[i]);
    }
    count += other.count;
  }
};
