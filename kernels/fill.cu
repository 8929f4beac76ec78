// y = value, the nearest number of y's type.
//
// Layout: `rows` rows of `channels` numbers, one every y_pitch numbers; a dense array is one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th vector. No shared memory.
// A thread writes 16 bytes at once if WIDE, one number if not.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "vectors.cuh"

extern "C" __global__ void fill(OUTPUT STORED* y, int y_pitch, float value, int rows, int channels) {
  constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
  Vector<STORED, WIDTH> filled;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) filled[i] = from_float<STORED>(value);
  for_each_vector<WIDTH>(rows, channels,
                         [=](int row, int channel) { store_vector(&at(y, y_pitch, row, channel), filled); });
}
