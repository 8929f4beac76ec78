// y = ((a + b) + c) + d: two to four arrays added from left to right in float, rounded once to the stored type.
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. Dense arrays are one row. c and d may be null.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th vector. No shared memory.
// A thread moves 16 bytes at once if WIDE, one number if not. y may be any of the others: that is why no pointer is
// __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;

__device__ __forceinline__ void add_to(Floats<WIDTH>& sum, const STORED* from) {
  const Floats<WIDTH> added = load_floats<WIDTH>(from);
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) sum[i] += added[i];
}

}  // namespace

extern "C" __global__ void add(OUTPUT STORED* y, int y_pitch, const STORED* a, int a_pitch, const STORED* b,
                               int b_pitch, OPTIONAL const STORED* c, int c_pitch, OPTIONAL const STORED* d,
                               int d_pitch, int rows, int channels) {
  for_each_vector<WIDTH>(rows, channels, [=](int row, int channel) {
    Floats<WIDTH> sum = load_floats<WIDTH>(&at(a, a_pitch, row, channel));
    add_to(sum, &at(b, b_pitch, row, channel));
    if (c) add_to(sum, &at(c, c_pitch, row, channel));
    if (d) add_to(sum, &at(d, d_pitch, row, channel));
    store_floats(&at(y, y_pitch, row, channel), sum);
  });
}
