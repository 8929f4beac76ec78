// ReLU (Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010).
//
//   forward   y  = max(0, x)
//   backward  gx = gy where y > 0, else 0; added to what gx holds with `accumulate`
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. A dense array is one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th element. No shared memory.
// y may be x and gx may be gy: that is why no pointer is __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "elementwise.cuh"
#include "primitives.cuh"

extern "C" __global__ void relu_forward(OUTPUT STORED* y, int y_pitch, const STORED* x, int x_pitch, int rows,
                                        int channels) {
  for_each_element(rows, channels, [=](int row, int channel) {
    at(y, y_pitch, row, channel) = from_float<STORED>(relu(to_float(at(x, x_pitch, row, channel))));
  });
}

extern "C" __global__ void relu_backward(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch, const STORED* y,
                                         int y_pitch, int rows, int channels, int accumulate) {
  for_each_element(rows, channels, [=](int row, int channel) {
    const bool passes = to_float(at(y, y_pitch, row, channel)) > 0.0f;
    const float passed = passes ? to_float(at(gy, gy_pitch, row, channel)) : 0.0f;
    STORED& target = at(gx, gx_pitch, row, channel);
    target = from_float<STORED>(accumulate ? to_float(target) + passed : passed);
  });
}
