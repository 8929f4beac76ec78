// Cross-entropy on sigmoid(x), summed over the numbers of each image, with its gradient.
//
//   loss     = sum of log(1 + exp(x)) - t x = sum of max(0, x) + log(1 + exp(-|x|)) - t x
//   gradient = weight * loss_scale * (sigmoid(x) - t); added to what is there with `accumulate`
//
// The second form of the loss is the one computed: its exponential cannot overflow.
//
// Layout: N images of `pixels` rows of `channels` numbers; a row of array a starts every a_pitch numbers. gradient is
// null when not wanted. Arrays without gaps are one row an image.
// Grid: one block an image, of any number of warps; each thread takes every blockDim.x-th number.
// Shared memory: a number a warp, for the sum.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "image_loss.cuh"

namespace {

struct BinaryCrossEntropy {
  __device__ __forceinline__ float loss(float x, float t) const { return relu(x) + log1pf(expf(-fabsf(x))) - x * t; }
  __device__ __forceinline__ float slope(float x, float t) const { return 1.0f / (1.0f + expf(-x)) - t; }
};

}  // namespace

extern "C" __global__ void binary_cross_entropy(OUTPUT float* loss, OPTIONAL STORED* gradient, int gradient_pitch,
                                                const float* logits, int logits_pitch, const float* targets,
                                                int targets_pitch, const double* loss_scale, int pixels, int channels,
                                                double weight, int accumulate) {
  const long long n = blockIdx.x, row = n * pixels;
  const float scale = static_cast<float>(weight * loss_scale[0]);
  const float sum = loss_of_image(BinaryCrossEntropy(), {pixels, channels}, logits + row * logits_pitch, logits_pitch,
                                  targets + row * targets_pitch, targets_pitch,
                                  gradient ? gradient + row * gradient_pitch : nullptr, gradient_pitch, scale,
                                  accumulate);
  if (threadIdx.x == 0) loss[n] = sum;
}
