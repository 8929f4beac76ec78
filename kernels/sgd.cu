// Stochastic gradient descent over the whole flat array of parameters in one launch.
//
//   g = gradient_scale * gradient + decay * w
//   classic    v = a v + g              w -= rate * v
//   ema        v = a v + (1 - a) g      w -= rate * v, or rate * v / (1 - a^t) with bias correction
//   nesterov   v = a v + g              w -= rate * (g + a v)      (Sutskever et al., 2013)
//   rate = learning_rate * learning_rate_factor; t = step + 1; without velocity, v = g.
//
// Layout: see chunks.cuh; frozen chunks have no entry in the table, so they are neither read nor written. What changes
// from step to step is read from device memory, because a captured CUDA graph freezes scalar arguments.
// Grid: one-dimensional, any size, 256 threads a block: 16 entries of the table at a time, four elements a thread.
// Memory: 20 bytes a parameter (w, v, gradient read; w, v written), 12 without momentum, 2 more for a 16-bit copy, and
// 12 bytes of table for 64 parameters. Nothing moves twice, and floats move 16 bytes a thread at a time.
// Shared memory: two floats, computed once a block because a^t is slow.
//
// Architectures: sm_75 and later
// ROUNDED: float | bfloat16 | float16

#include "chunks.cuh"
#include "primitives.cuh"
#include "vectors.cuh"

namespace {

enum MomentumStyle { CLASSIC = 0, EMA = 1, NESTEROV = 2 };

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    sgd(float* __restrict__ parameters, OPTIONAL ROUNDED* __restrict__ rounded, OPTIONAL float* __restrict__ velocity,
        const float* __restrict__ gradients, const double* learning_rate, const double* gradient_scale,
        const long long* step, const int* apply, const int* __restrict__ chunk_number,
        const float* __restrict__ learning_rate_factor, const float* __restrict__ decay, int chunks, double momentum,
        int style, int bias_correction) {
  if (apply[0] == 0) return;

  __shared__ float shared_learning_rate, shared_gradient_scale;
  if (threadIdx.x == 0) {
    const double correction = bias_correction ? 1.0 - pow(momentum, static_cast<double>(step[0] + 1)) : 1.0;
    shared_learning_rate = static_cast<float>(learning_rate[0] / correction);
    shared_gradient_scale = static_cast<float>(gradient_scale[0]);
  }
  __syncthreads();

  const float scale = shared_gradient_scale;
  const float a = static_cast<float>(momentum);
  const float gradient_share = style == EMA ? static_cast<float>(1.0 - momentum) : 1.0f;
  for_each_chunk(chunk_number, chunks, [=](int row, int first) {
    auto w = load_floats<THREAD_ELEMENTS>(parameters + first);
    const auto gradient = load_floats<THREAD_ELEMENTS>(gradients + first);
    Floats<THREAD_ELEMENTS> v = {};
    if (velocity) v = load_floats<THREAD_ELEMENTS>(velocity + first);
    const float rate = shared_learning_rate * learning_rate_factor[row];
    const float weight_decay = decay[row];
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      const float g = fmaf(weight_decay, w[i], scale * gradient[i]);
      v[i] = velocity ? fmaf(a, v[i], gradient_share * g) : g;
      const float direction = style == NESTEROV ? fmaf(a, v[i], g) : v[i];
      w[i] = fmaf(-rate, direction, w[i]);
    }
    if (velocity) store_floats(velocity + first, v);
    store_floats(parameters + first, w);
    if (rounded) store_floats(rounded + first, w);
  });
}
