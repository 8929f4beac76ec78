// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1) and AdamW (Loshchilov and
// Hutter, "Decoupled weight decay regularization", 2019, algorithm 2) over all parameters in one launch.
//
//   g = gradient_scale * gradient + decay * w
//   m = beta1 m + (1 - beta1) g
//   r = beta2 r + (1 - beta2) g^2
//   w -= rate * (m / (1 - beta1^t)) / (sqrt(r / (1 - beta2^t)) + eps)
//   rate = learning_rate * learning_rate_factor; t = step + 1
//   decoupled: g has no decay, and w *= 1 - rate * decay comes first.
//
// Layout: see chunks.cuh; frozen chunks have no entry in the table, so they are neither read nor written. What changes
// from step to step is read from device memory, because a captured CUDA graph freezes scalar arguments.
// Grid: one-dimensional, any size, 256 threads a block: 16 entries of the table at a time, four elements a thread.
// Memory: 28 bytes a parameter (w, m, r, gradient read; w, m, r written), 2 more for a 16-bit copy, and 12 bytes of
// table for 64 parameters.
// Shared memory: four floats, computed once a block because powers are slow.
//
// Architectures: sm_75 and later
// ROUNDED: float | bfloat16 | float16

#include "chunks.cuh"
#include "primitives.cuh"
#include "vectors.cuh"

namespace {

struct StepFactors {
  float learning_rate;  // divided by 1 - beta1^t
  float decay_rate;     // not divided
  float root;           // 1 / sqrt(1 - beta2^t)
  float gradient_scale;
};

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    adam(float* __restrict__ parameters, OPTIONAL ROUNDED* __restrict__ rounded, float* __restrict__ first_moment,
         float* __restrict__ second_moment, const float* __restrict__ gradients, const double* learning_rate,
         const double* gradient_scale, const long long* step, const int* apply, const int* __restrict__ chunk_number,
         const float* __restrict__ learning_rate_factor, const float* __restrict__ decay, int chunks, double beta1,
         double beta2, double eps, int decoupled) {
  if (apply[0] == 0) return;

  __shared__ StepFactors factors;
  if (threadIdx.x == 0) {
    const double t = static_cast<double>(step[0] + 1);
    factors.learning_rate = static_cast<float>(learning_rate[0] / (1.0 - pow(beta1, t)));
    factors.decay_rate = static_cast<float>(learning_rate[0]);
    factors.root = static_cast<float>(1.0 / sqrt(1.0 - pow(beta2, t)));
    factors.gradient_scale = static_cast<float>(gradient_scale[0]);
  }
  __syncthreads();

  const float scale = factors.gradient_scale;
  const float root = factors.root;
  const float offset = static_cast<float>(eps);
  const float keep_first = static_cast<float>(beta1), share_first = static_cast<float>(1.0 - beta1);
  const float keep_second = static_cast<float>(beta2), share_second = static_cast<float>(1.0 - beta2);
  for_each_chunk(chunk_number, chunks, [=](int row, int first) {
    auto w = load_floats<THREAD_ELEMENTS>(parameters + first);
    const auto gradient = load_floats<THREAD_ELEMENTS>(gradients + first);
    auto m = load_floats<THREAD_ELEMENTS>(first_moment + first);
    auto r = load_floats<THREAD_ELEMENTS>(second_moment + first);
    const float rate = factors.learning_rate * learning_rate_factor[row];
    const float weight_decay = decoupled ? 0.0f : decay[row];
    const float kept = decoupled ? fmaf(-factors.decay_rate * learning_rate_factor[row], decay[row], 1.0f) : 1.0f;
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      const float g = fmaf(weight_decay, w[i], scale * gradient[i]);
      m[i] = fmaf(keep_first, m[i], share_first * g);
      r[i] = fmaf(keep_second, r[i], share_second * (g * g));
      const float direction = m[i] / fmaf(sqrtf(r[i]), root, offset);
      w[i] = fmaf(-rate, direction, kept * w[i]);
    }
    store_floats(first_moment + first, m);
    store_floats(second_moment + first, r);
    store_floats(parameters + first, w);
    if (rounded) store_floats(rounded + first, w);
  });
}
