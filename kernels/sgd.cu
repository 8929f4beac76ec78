// Stochastic gradient descent over the whole flat array of parameters in one launch.
//
//   g = gradient_scale * gradient + decay * w
//   classic    v = a v + g              w -= rate * v
//   ema        v = a v + (1 - a) g      w -= rate * v, or rate * v / (1 - a^t) with bias correction
//   nesterov   v = a v + g              w -= rate * (g + a v)      (Sutskever et al., 2013)
//   rate = learning_rate * learning_rate_factor; t = step + 1; without velocity, v = g.
//
// Layout: the array is a row of chunks of 64 elements, each inside one parameter tensor. Frozen chunks have no entry
// in the table, so they are neither read nor written. What changes from step to step is read from device memory,
// because a captured CUDA graph freezes scalar arguments.
// Grid: one-dimensional, any size. A block of 256 threads takes four entries of the table at a time, 64 threads each.
// Shared memory: two floats, computed once a block because a^t is slow.
//
// Architectures: sm_75 and later

#include "primitives.cuh"

namespace {

constexpr int CHUNK_ELEMENTS = 64;
constexpr int BLOCK_THREADS = 256;
constexpr int CHUNKS_PER_BLOCK = BLOCK_THREADS / CHUNK_ELEMENTS;

enum MomentumStyle { CLASSIC = 0, EMA = 1, NESTEROV = 2 };

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    sgd(float* __restrict__ parameters, OPTIONAL float* __restrict__ velocity,
                const float* __restrict__ gradients, const double* learning_rate, const double* gradient_scale,
                const long long* step, const int* apply, const int* __restrict__ chunk_number,
                const float* __restrict__ learning_rate_factor, const float* __restrict__ decay, int chunks,
                int elements, double momentum, int style, int bias_correction) {
  if (apply[0] == 0) return;

  __shared__ float shared_learning_rate, shared_gradient_scale;
  if (threadIdx.x == 0) {
    const double correction = bias_correction ? 1.0 - pow(momentum, static_cast<double>(step[0] + 1)) : 1.0;
    shared_learning_rate = static_cast<float>(learning_rate[0] / correction);
    shared_gradient_scale = static_cast<float>(gradient_scale[0]);
  }
  __syncthreads();

  const float a = static_cast<float>(momentum);
  const float gradient_share = style == EMA ? static_cast<float>(1.0 - momentum) : 1.0f;
  const int place = threadIdx.x % CHUNK_ELEMENTS;
  for (int row = blockIdx.x * CHUNKS_PER_BLOCK + threadIdx.x / CHUNK_ELEMENTS; row < chunks;
       row += gridDim.x * CHUNKS_PER_BLOCK) {
    const int i = chunk_number[row] * CHUNK_ELEMENTS + place;
    if (i >= elements) continue;
    const float w = parameters[i];
    const float g = fmaf(decay[row], w, shared_gradient_scale * gradients[i]);
    float direction = g;
    if (velocity) {
      const float v = fmaf(a, velocity[i], gradient_share * g);
      velocity[i] = v;
      direction = style == NESTEROV ? fmaf(a, v, g) : v;
    }
    parameters[i] = fmaf(-shared_learning_rate * learning_rate_factor[row], direction, w);
  }
}
