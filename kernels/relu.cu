// ReLU (Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010).
//
//   forward   y  = max(0, x)
//   backward  gx = gy where y > 0, else 0; added to what gx holds with `accumulate`
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. A dense array is one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th vector. No shared memory.
// y may be x and gx may be gy: that is why no pointer is __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "activation_functions.cuh"

constexpr int COUNT = CONTIGUOUS<STORED, WIDE>;

extern "C" __global__ void relu_forward(OUTPUT STORED* y, int y_pitch, const STORED* x, int x_pitch, int rows,
                                        int channels) {
  ApplyFunction<STORED, COUNT>{y, y_pitch, x, x_pitch, rows, channels}(Relu());
}

extern "C" __global__ void relu_backward(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch, const STORED* saved,
                                         int saved_pitch, int rows, int channels, int accumulate) {
  ApplyGradient<STORED, COUNT>{gx, gx_pitch, gy, gy_pitch, saved, saved_pitch, rows, channels, accumulate != 0}(Relu());
}
