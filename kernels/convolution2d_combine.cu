// The end of a convolution whose tiles were shared by several blocks: adds their sums, always in the same order.
//
//   forward    y        = f(bias[channel] + sum over splits of sums[split, row, channel]), f is ReLU or nothing
//   gradient   gradient = sum over splits of sums[split, row, channel], 0 where saved[row, channel] is not above 0;
//              added to what is there with `accumulate`
//
// Layout: sums is float, splits x rows x channels without gaps. The result and `saved` have rows of `channels` numbers
// every pitch; a convolution's rows are its pixels, those of a filter gradient its taps.
// Grid: one-dimensional, any size; each thread takes four neighbouring channels at a time. No shared memory.
// vector: channels, pitches and addresses let four neighbouring elements be accessed as one.
//
// Architectures: sm_75 and later
// RESULT: float | bfloat16 | float16

#include "elementwise.cuh"
#include "quads.cuh"

namespace {

// Calls f(values, row, first channel, channels left) for this thread's share of the sums of all splits.
template <class Function>
__device__ __forceinline__ void for_each_sum(const float* sums, int splits, int rows, int channels, bool vector,
                                             Function f) {
  const long long split_elements = static_cast<long long>(rows) * channels;
  for_each_element(rows, (channels + QUAD - 1) / QUAD, [=](int row, int quad) {
    const int channel = quad * QUAD, left = channels - channel;
    const float* const first = &at(sums, channels, row, channel);
    float total[QUAD];
    load_quad(total, first, left, vector);
    for (int split = 1; split < splits; ++split) {
      float values[QUAD];
      load_quad(values, first + split * split_elements, left, vector);
#pragma unroll
      for (int j = 0; j < QUAD; ++j) total[j] += values[j];
    }
    f(total, row, channel, left);
  });
}

}  // namespace

extern "C" __global__ void convolution2d_combine_forward(OUTPUT RESULT* __restrict__ result, int result_pitch,
                                                         const float* __restrict__ sums,
                                                         OPTIONAL const float* __restrict__ bias, int apply_relu,
                                                         int splits, int rows, int channels, int vector) {
  for_each_sum(sums, splits, rows, channels, vector, [=](float(&values)[QUAD], int row, int channel, int left) {
    float bias_values[QUAD] = {};
    if (bias) load_quad(bias_values, bias + channel, left, vector);
#pragma unroll
    for (int j = 0; j < QUAD; ++j) {
      values[j] += bias_values[j];
      if (apply_relu) values[j] = relu(values[j]);
    }
    store_quad(&at(result, result_pitch, row, channel), values, left, vector);
  });
}

extern "C" __global__ void convolution2d_combine_gradient(RESULT* __restrict__ result, int result_pitch,
                                                          const float* __restrict__ sums,
                                                          OPTIONAL const RESULT* __restrict__ saved, int saved_pitch,
                                                          int accumulate, int splits, int rows, int channels,
                                                          int vector) {
  for_each_sum(sums, splits, rows, channels, vector, [=](float(&values)[QUAD], int row, int channel, int left) {
    RESULT* const target = &at(result, result_pitch, row, channel);
    float before[QUAD] = {}, kept[QUAD];
    if (accumulate) load_quad(before, target, left, vector);
    if (saved) load_quad(kept, &at(saved, saved_pitch, row, channel), left, vector);
#pragma unroll
    for (int j = 0; j < QUAD; ++j) {
      if (saved && !(kept[j] > 0.0f)) values[j] = 0.0f;
      values[j] += before[j];
    }
    store_quad(target, values, left, vector);
  });
}
