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
// Windows of 5 channels and beta = 0.75, the paper's, are compiled apart: with the loops and the powf of any others a
// multiprocessor would be busy for longer than memory is. There, with q = rsqrt(d), d^-beta is q * (q * rsqrt(q)),
// within 6 units in the last place, and 1 / d is q * q, within 5.
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
// PAPER: 0 | 1

#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
constexpr int BLOCK_THREADS = 256;
constexpr int PAPER_REACH = 2;  // channels to either side
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

  // For each of the channels from `channel` on, the sum over its window: f(sum, value) adds a value.
  template <class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_over(Window window, int channel, Function f) const {
    return PAPER ? sum_over_paper_window(channel, f) : sum_over_any(window, channel, f);
  }

 private:
  template <class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_over_any(Window window, int channel, Function f) const {
    Floats<WIDTH> sums = {};
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
#pragma unroll 1
      for (int distance = i - window.before; distance <= i + window.after; ++distance)
        if (exists(channel + distance)) sums[i] = f(sums[i], at(channel, distance));
    return sums;
  }

  // Neighbouring channels share their loads.
  template <class Function>
  __device__ __forceinline__ Floats<WIDTH> sum_over_paper_window(int channel, Function f) const {
    Floats<WIDTH + 2 * PAPER_REACH> values = {};
#pragma unroll
    for (int i = 0; i < WIDTH + 2 * PAPER_REACH; ++i) {
      const int distance = i - PAPER_REACH;
      const bool is_own = distance >= 0 && distance < WIDTH;
      if (is_own || exists(channel + distance)) values[i] = at(channel, distance);
    }
    Floats<WIDTH> sums = {};
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
#pragma unroll
      for (int j = i; j <= i + 2 * PAPER_REACH; ++j) sums[i] = f(sums[i], values[j]);
    return sums;
  }

  __device__ __forceinline__ bool exists(int channel) const { return channel >= 0 && channel < channels_; }

  // The number of the channel that lies `distance` behind `channel`, which is a multiple of WIDTH.
  __device__ __forceinline__ float& at(int channel, int distance) const {
    const int plane = distance & (WIDTH - 1);
    return pixel_[plane * plane_ + channel / WIDTH + (distance - plane) / WIDTH];
  }

  float* pixel_;
  int plane_, channels_;
};

struct Powers {
  float minus_beta, minus_one;  // d^-beta and 1 / d
};

__device__ __forceinline__ Powers powers_of(float d, float beta) {
  if (!PAPER) return {powf(d, -beta), 1.0f / d};
  const float root = rsqrtf(d);
  const float fourth_root = root > 0.0f ? root * rsqrtf(root) : root;  // where d is infinite, 0 and not 0 * infinity
  return {root * fourth_root, root * root};
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
      result[i] *= powers_of(d[i], beta).minus_beta;
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
      const Floats<WIDTH> input = load_floats<WIDTH>(&at(x, x_pitch, row, channel));
      Floats<WIDTH> ratio, direct;
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) {
        const Powers powers = powers_of(d[i], beta);
        ratio[i] = gradient[i] * output[i] * powers.minus_one;
        direct[i] = gradient[i] * powers.minus_beta;
      }
      ratios.put(channel, ratio);
      direct_parts.put(channel, direct);
      inputs.put(channel, input);
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
