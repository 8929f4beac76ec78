// The squared error, summed over the numbers of each image, with its gradient.
//
//   loss     = factor * sum of (x - t)^2
//   gradient = weight * loss_scale * 2 factor (x - t); added to what is there with `accumulate`
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

struct SquaredError {
  __device__ __forceinline__ float loss(float x, float t) const { return (x - t) * (x - t); }
  __device__ __forceinline__ float slope(float x, float t) const { return x - t; }
};

}  // namespace

extern "C" __global__ void squared_error(OUTPUT float* loss, OPTIONAL STORED* gradient, int gradient_pitch,
                                         const float* predictions, int predictions_pitch, const float* targets,
                                         int targets_pitch, const double* loss_scale, int pixels, int channels,
                                         double factor, double weight, int accumulate) {
  const long long n = blockIdx.x, row = n * pixels;
  const float scale = static_cast<float>(2.0 * factor * weight * loss_scale[0]);
  const float sum = loss_of_image(SquaredError(), {pixels, channels}, predictions + row * predictions_pitch,
                                  predictions_pitch, targets + row * targets_pitch, targets_pitch,
                                  gradient ? gradient + row * gradient_pitch : nullptr, gradient_pitch, scale,
                                  accumulate);
  if (threadIdx.x == 0) loss[n] = static_cast<float>(factor) * sum;
}
