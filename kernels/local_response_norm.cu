// Local response normalisation over neighbouring channels
// (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012, section
// 3.3).
//
//   forward    y = x / d^beta; d[c] = k + alpha * sum of x^2 over channels c - before to c + after
//   backward   gx = gy / d^beta - 2 alpha beta x * sum of gy y / d over channels c - before to c + after; added to what
//              gx holds with `accumulate`. The channels whose windows hold c are its own window mirrored, so `before`
//              and `after` change places.
//
// Every array is moved once: a block takes some pixels with all their channels. What a window needs of its neighbours
// goes through shared memory; what a thread needs of its own channels waits there, too.
// d^-beta for beta = 0.75, the paper's, is rsqrt(d) * sqrt(rsqrt(d)), within 4 units in the last place; any other power
// is powf's.
//
// Layout: `rows` pixels of `channels` numbers, one every x_pitch numbers.
// Grid: x runs over tiles of blockDim.y pixels; blockDim.x lanes share the channels of a pixel. A thread takes one
// channel at a time, or with WIDE 16 bytes of neighbouring ones, and every blockDim.x-th of these.
// Shared memory: frames of floats, one in the forward and three in the backward pass. A frame holds, for each pixel of
// the tile, `before` zeros, a number for each channel, and `after` zeros. The numbers that a thread moves at once lie
// in as many planes, so that neighbouring threads use neighbouring memory banks.
// gx may be gy: that is why these are not __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
constexpr int BLOCK_THREADS = 256;
constexpr int PAPER_WINDOW = 5;
constexpr float PAPER_BETA = 0.75f;

// The channels of one pixel in shared memory, with the zeros around them.
class Frame {
 public:
  // `floats` of one frame: see frame_floats in gpunn/backend/cuda/local_response_norm.py.
  __device__ __forceinline__ Frame(float* memory, int channels, int before, int after)
      : channels_(channels), before_(before), after_(after) {
    const int pixel_length = (channels + before + after + WIDTH - 1) / WIDTH;
    plane_ = pixel_length * blockDim.y;
    pixel_ = memory + threadIdx.y * pixel_length;
  }

  __device__ __forceinline__ void clear_sides() const {
    for (int i = threadIdx.x; i < before_ + after_; i += blockDim.x) at(i < before_ ? i : channels_ + i) = 0.0f;
  }

  __device__ __forceinline__ void put(int channel, const Floats<WIDTH>& values) const {
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) at(before_ + channel + i) = values[i];
  }

  __device__ __forceinline__ Floats<WIDTH> get(int channel) const {
    Floats<WIDTH> values;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) values[i] = at(before_ + channel + i);
    return values;
  }

  // For each of the channels from `channel` on, the sum of f over its window.
  template <class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_over_windows(int channel, Function f) const {
    return before_ + after_ + 1 == PAPER_WINDOW ? sum_over<PAPER_WINDOW>(channel, PAPER_WINDOW, f)
                                                : sum_over<0>(channel, before_ + after_ + 1, f);
  }

 private:
  // WINDOW is the window's length where the compiler may know it, so that neighbouring windows share their loads.
  template <int WINDOW, class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_over(int channel, int window, Function f) const {
    Floats<WIDTH> sums = {};
    const int length = WINDOW ? WINDOW : window;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
#pragma unroll
      for (int neighbour = 0; neighbour < length; ++neighbour) sums[i] = f(sums[i], at(channel + i + neighbour));
    }
    return sums;
  }

  __device__ __forceinline__ float& at(int i) const { return pixel_[i % WIDTH * plane_ + i / WIDTH]; }

  float* pixel_;
  int plane_, channels_, before_, after_;
};

__device__ __forceinline__ float inverse_power(float d, float beta) {
  if (beta != PAPER_BETA) return powf(d, -beta);
  const float inverse_root = rsqrtf(d);
  return inverse_root * sqrtf(inverse_root);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    local_response_norm_forward(OUTPUT STORED* __restrict__ y, int y_pitch, OUTPUT STORED* __restrict__ denominator,
                                int denominator_pitch, const STORED* __restrict__ x, int x_pitch, int rows,
                                int channels, int before, int after, float k, float alpha, float beta) {
  DYNAMIC_SHARED(memory);
  const Frame inputs(reinterpret_cast<float*>(memory), channels, before, after);
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row < rows) {
    inputs.clear_sides();
    for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH)
      inputs.put(channel, load_floats<WIDTH>(&at(x, x_pitch, row, channel)));
  }
  __syncthreads();
  if (row >= rows) return;

  for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH) {
    Floats<WIDTH> d =
        inputs.sum_over_windows(channel, [](float sum, float value) { return fmaf(value, value, sum); });
    Floats<WIDTH> result = inputs.get(channel);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      d[i] = fmaf(alpha, d[i], k);
      result[i] *= inverse_power(d[i], beta);
    }
    store_floats(&at(denominator, denominator_pitch, row, channel), d);
    store_floats(&at(y, y_pitch, row, channel), result);
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    local_response_norm_backward(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch,
                                 const STORED* __restrict__ x, int x_pitch, const STORED* __restrict__ y, int y_pitch,
                                 const STORED* __restrict__ denominator, int denominator_pitch, int rows,
                                 int channels, int before, int after, int frame_floats, float alpha, float beta,
                                 int accumulate) {
  DYNAMIC_SHARED(memory);
  float* floats = reinterpret_cast<float*>(memory);
  const Frame ratios(floats, channels, before, after);
  const Frame direct_parts(floats + frame_floats, channels, before, after);
  const Frame inputs(floats + 2 * frame_floats, channels, before, after);
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row < rows) {
    ratios.clear_sides();
    for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH) {
      const Floats<WIDTH> gradient = load_floats<WIDTH>(&at(gy, gy_pitch, row, channel));
      const Floats<WIDTH> output = load_floats<WIDTH>(&at(y, y_pitch, row, channel));
      const Floats<WIDTH> d = load_floats<WIDTH>(&at(denominator, denominator_pitch, row, channel));
      Floats<WIDTH> ratio, direct;
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) {
        ratio[i] = gradient[i] * output[i] / d[i];
        direct[i] = gradient[i] * inverse_power(d[i], beta);
      }
      ratios.put(channel, ratio);
      direct_parts.put(channel, direct);
      inputs.put(channel, load_floats<WIDTH>(&at(x, x_pitch, row, channel)));
    }
  }
  __syncthreads();
  if (row >= rows) return;

  const float factor = -2.0f * alpha * beta;
  for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH) {
    const Floats<WIDTH> sum = ratios.sum_over_windows(channel, [](float sum, float value) { return sum + value; });
    const Floats<WIDTH> value = inputs.get(channel), direct = direct_parts.get(channel);
    STORED* target = &at(gx, gx_pitch, row, channel);
    Floats<WIDTH> result = {};
    if (accumulate) result = load_floats<WIDTH>(target);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) result[i] += fmaf(factor * value[i], sum[i], direct[i]);
    store_floats(target, result);
  }
}
