// Copies from one number type to another, and between dense arrays and slices of channels.
//
//   copy        y = x
//   accumulate  y = y + x, in float
//
// Flattening, joining and splitting channels, rounding weights to the stored type and widening logits are all these.
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. Dense arrays are one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th vector. No shared memory.
// A thread moves 16 bytes of the wider type at once if WIDE, one number if not. y may be x if the types are one.
//
// Architectures: sm_75 and later
// FROM: float | bfloat16 | float16
// TO: float | bfloat16 | float16
// WIDE: 0 | 1

#include "vectors.cuh"

namespace {

constexpr int FROM_WIDTH = CONTIGUOUS<FROM, WIDE>, TO_WIDTH = CONTIGUOUS<TO, WIDE>;
constexpr int WIDTH = FROM_WIDTH < TO_WIDTH ? FROM_WIDTH : TO_WIDTH;

}  // namespace

extern "C" __global__ void copy(OUTPUT TO* y, int y_pitch, const FROM* x, int x_pitch, int rows, int channels) {
  for_each_vector<WIDTH>(rows, channels, [=](int row, int channel) {
    store_floats(&at(y, y_pitch, row, channel), load_floats<WIDTH>(&at(x, x_pitch, row, channel)));
  });
}

extern "C" __global__ void accumulate(TO* y, int y_pitch, const FROM* x, int x_pitch, int rows, int channels) {
  for_each_vector<WIDTH>(rows, channels, [=](int row, int channel) {
    TO* target = &at(y, y_pitch, row, channel);
    const Floats<WIDTH> added = load_floats<WIDTH>(&at(x, x_pitch, row, channel));
    Floats<WIDTH> sum = load_floats<WIDTH>(target);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) sum[i] += added[i];
    store_floats(target, sum);
  });
}
