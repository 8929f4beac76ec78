// The filters and the bias of a convolution that computes the batch norm after it, too, with running statistics
// (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018,
// section 3.2).
//
//   s[k] = gamma[k] / sqrt(running_variance[k] + eps)
//   filters[tap,k] = s[k] w[tap,k]
//   offset[k] = s[k] (bias[k] - running_mean[k]) + beta[k]
//
// Layout: `taps` rows of `count` filters without gaps; all vectors have a number for each filter. bias is null or such.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th weight, and those of the first tap the
// offsets, too. No shared memory.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "elementwise.cuh"
#include "primitives.cuh"

extern "C" __global__ void fold_batch_norm(OUTPUT STORED* __restrict__ filters, OUTPUT float* __restrict__ offset,
                                           const float* __restrict__ w, OPTIONAL const float* __restrict__ bias,
                                           const float* __restrict__ running_mean,
                                           const float* __restrict__ running_variance,
                                           const float* __restrict__ gamma, const float* __restrict__ beta, int taps,
                                           int count, float eps) {
  for_each_element(taps, count, [=](int tap, int k) {
    const float scale = gamma[k] / sqrtf(running_variance[k] + eps);
    at(filters, count, tap, k) = from_float<STORED>(scale * at(w, count, tap, k));
    if (tap == 0) offset[k] = fmaf(scale, (bias ? bias[k] : 0.0f) - running_mean[k], beta[k]);
  });
}
