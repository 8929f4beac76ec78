// Loss scaling (Micikevicius et al., "Mixed precision training", 2018, section 3.2): the gradient of the loss is
// multiplied, so that the small numbers of the backward pass survive in float16, and the gradients of the parameters
// are divided by the same number. The multiplier follows what the gradients bear.
//
// set_loss_scale        loss_scale = loss_share * loss_multiplier
// unscale_gradients     gradients /= loss_multiplier; each block notes whether its gradients are finite
// follow_gradients      all finite: finite_steps += 1; after `patience` of them in a row the multiplier is doubled, up
//                       to `largest`. Else apply = 0, the multiplier is halved, not below 1, and finite_steps = 0.
// The last two do nothing when apply is 0.
//
// Layout: gradients is dense, 16-byte aligned, with a multiple of four elements.
// Grid: set_loss_scale one thread; unscale_gradients any size, 256 threads a block; follow_gradients one block.
// Memory: 8 bytes a parameter.
//
// Architectures: sm_75 and later

#include "chunks.cuh"
#include "primitives.cuh"
#include "vectors.cuh"

extern "C" __global__ void set_loss_scale(OUTPUT double* loss_scale, const double* loss_share,
                                          const double* loss_multiplier) {
  loss_scale[0] = loss_share[0] * loss_multiplier[0];
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    unscale_gradients(float* __restrict__ gradients, int* __restrict__ block_is_finite, const double* loss_multiplier,
                      const int* apply, int elements) {
  if (apply[0] == 0) return;
  const float divisor = static_cast<float>(loss_multiplier[0]);
  bool finite = true;
  for_each_vector<THREAD_ELEMENTS>(1, elements, [&](int, int first) {
    auto gradient = load_floats<THREAD_ELEMENTS>(gradients + first);
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      gradient[i] /= divisor;
      finite &= gradient[i] - gradient[i] == 0.0f;  // infinity minus itself is NaN
    }
    store_floats(gradients + first, gradient);
  });
  const int all_finite = __syncthreads_and(finite);
  if (threadIdx.x == 0) block_is_finite[blockIdx.x] = all_finite;
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    follow_gradients(double* loss_multiplier, long long* finite_steps, int* apply,
                     const int* __restrict__ block_is_finite, int blocks, long long patience, double largest) {
  if (apply[0] == 0) return;
  int finite = 1;
  for (int block = threadIdx.x; block < blocks; block += BLOCK_THREADS) finite &= block_is_finite[block];
  finite = __syncthreads_and(finite);
  if (threadIdx.x != 0) return;
  if (!finite) {
    apply[0] = 0;
    loss_multiplier[0] = fmax(1.0, loss_multiplier[0] / 2.0);
    finite_steps[0] = 0;
  } else if (finite_steps[0] + 1 == patience) {
    loss_multiplier[0] = fmin(largest, loss_multiplier[0] * 2.0);
    finite_steps[0] = 0;
  } else {
    finite_steps[0] += 1;
  }
}
