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
// Shared memory: frames of floats, one in the forward and three in the backward pass. A frame holds a number for each
// channel of each pixel of the tile. The numbers that a thread moves at once lie in as many planes, and in a plane the
// threads lie in their order, so that no two threads of a warp meet in a memory bank.
// gx may be gy: that is why these are not __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
constexpr int BLOCK_THREADS = 256;
constexpr int PAPER_REACH = 2;  // channels to either side
constexpr float PAPER_BETA = 0.75f;

// Channels c - before to c + after.
struct Window {
  int before, after;
};

// The channels of one pixel in shared memory.
class Frame {
 public:
  // Frame `number` of those that start at `memory`.
  __device__ __forceinline__ Frame(unsigned char* memory, int number, int channels) : channels_(channels) {
    const int vectors = channels / WIDTH;
    plane_ = vectors * blockDim.y;
    pixel_ = reinterpret_cast<float*>(memory) + number * WIDTH * plane_ + threadIdx.y * vectors;
  }

  __device__ __forceinline__ void put(int channel, const Floats<WIDTH>& values) const {
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) at(channel, i) = values[i];
  }

  __device__ __forceinline__ Floats<WIDTH> get(int channel) const {
    Floats<WIDTH> values;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) values[i] = at(channel, i);
    return values;
  }

  // For each of the channels from `channel` on, the sum of f over its window.
  template <class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_over(Window window, int channel, Function f) const {
    // Where the compiler knows the window, neighbouring channels share their loads.
    if (window.before == PAPER_REACH && window.after == PAPER_REACH)
      return sum_from_to(-PAPER_REACH, PAPER_REACH, channel, f);
    return sum_from_to(-window.before, window.after, channel, f);
  }

 private:
  template <class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_from_to(int first, int last, int channel, Function f) const {
    Floats<WIDTH> sums = {};
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
#pragma unroll
      for (int neighbour = first; neighbour <= last; ++neighbour) {
        const int distance = i + neighbour;
        if (channel + distance >= 0 && channel + distance < channels_) sums[i] = f(sums[i], at(channel, distance));
      }
    }
    return sums;
  }

  // The number of the channel that lies `distance` behind `channel`, which is a multiple of WIDTH.
  __device__ __forceinline__ float& at(int channel, int distance) const {
    const int plane = distance & (WIDTH - 1);
    return pixel_[plane * plane_ + channel / WIDTH + (distance - plane) / WIDTH];
  }

  float* pixel_;
  int plane_, channels_;
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
  const Frame inputs(memory, 0, channels);
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row < rows)
    for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH)
      inputs.put(channel, load_floats<WIDTH>(&at(x, x_pitch, row, channel)));
  __syncthreads();
  if (row >= rows) return;

  for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH) {
    Floats<WIDTH> d = inputs.sum_over({before, after}, channel,
                                      [](float sum, float value) { return fmaf(value, value, sum); });
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
                                 int channels, int before, int after, float alpha, float beta, int accumulate) {
  DYNAMIC_SHARED(memory);
  const Frame ratios(memory, 0, channels), direct_parts(memory, 1, channels), inputs(memory, 2, channels);
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row < rows)
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
  __syncthreads();
  if (row >= rows) return;

  const float factor = -2.0f * alpha * beta;
  for (int channel = threadIdx.x * WIDTH; channel < channels; channel += blockDim.x * WIDTH) {
    const Floats<WIDTH> sum =
        ratios.sum_over({before, after}, channel, [](float sum, float value) { return sum + value; });
    const Floats<WIDTH> value = inputs.get(channel), direct = direct_parts.get(channel);
    STORED* target = &at(gx, gx_pitch, row, channel);
    Floats<WIDTH> result = {};
    if (accumulate) result = load_floats<WIDTH>(target);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) result[i] += fmaf(factor * value[i], sum[i], direct[i]);
    store_floats(target, result);
  }
}
