// y = factor * x, or with `accumulate` y = y + factor * x; computed in float, rounded once to the stored type.
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. Dense arrays are one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th vector. No shared memory.
// A thread moves 16 bytes at once if WIDE, one number if not. y may be x: that is why no pointer is __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "vectors.cuh"

extern "C" __global__ void scale(STORED* y, int y_pitch, const STORED* x, int x_pitch, float factor, int rows,
                                 int channels, int accumulate) {
  constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
  for_each_vector<WIDTH>(rows, channels, [=](int row, int channel) {
    STORED* target = &at(y, y_pitch, row, channel);
    Floats<WIDTH> result = load_floats<WIDTH>(&at(x, x_pitch, row, channel));
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) result[i] *= factor;
    if (accumulate) {
      const Floats<WIDTH> held = load_floats<WIDTH>(target);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) result[i] += held[i];
    }
    store_floats(target, result);
  });
}
