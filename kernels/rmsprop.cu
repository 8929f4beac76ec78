// RMSProp (Tieleman and Hinton, "Lecture 6.5", 2012) over all parameters in one launch; eps outside the root.
//
//   g = gradient_scale * gradient + decay * w
//   r = rho r + (1 - rho) g^2              w -= learning_rate * learning_rate_factor * g / (sqrt(r) + eps)
//
// Layout: see chunks.cuh; frozen chunks have no entry in the table, so they are neither read nor written. What changes
// from step to step is read from device memory, because a captured CUDA graph freezes scalar arguments.
// Grid: one-dimensional, any size, 256 threads a block: 16 entries of the table at a time, four elements a thread.
// Memory: 20 bytes a parameter (w, r, gradient read; w, r written), 2 more for a 16-bit copy, and 12 bytes of table for
// 64 parameters. No shared memory.
//
// Architectures: sm_75 and later
// ROUNDED: float | bfloat16 | float16

#include "chunks.cuh"
#include "primitives.cuh"
#include "vectors.cuh"

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    rmsprop(float* __restrict__ parameters, OPTIONAL ROUNDED* __restrict__ rounded, float* __restrict__ mean_square,
            const float* __restrict__ gradients, const double* learning_rate, const double* gradient_scale,
            const int* apply, const int* __restrict__ chunk_number, const float* __restrict__ learning_rate_factor,
            const float* __restrict__ decay, int chunks, double rho, double eps) {
  if (apply[0] == 0) return;

  const float base_rate = static_cast<float>(learning_rate[0]);
  const float scale = static_cast<float>(gradient_scale[0]);
  const float keep = static_cast<float>(rho), share = static_cast<float>(1.0 - rho);
  const float offset = static_cast<float>(eps);
  for_each_chunk(chunk_number, chunks, [=](int row, int first) {
    auto w = load_floats<THREAD_ELEMENTS>(parameters + first);
    const auto gradient = load_floats<THREAD_ELEMENTS>(gradients + first);
    auto r = load_floats<THREAD_ELEMENTS>(mean_square + first);
    const float rate = base_rate * learning_rate_factor[row];
    const float weight_decay = decay[row];
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      const float g = fmaf(weight_decay, w[i], scale * gradient[i]);
      r[i] = fmaf(keep, r[i], share * (g * g));
      w[i] = fmaf(-rate, g / (sqrtf(r[i]) + offset), w[i]);
    }
    store_floats(mean_square + first, r);
    store_floats(parameters + first, w);
    if (rounded) store_floats(rounded + first, w);
  });
}
