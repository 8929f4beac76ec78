// Losses that are a sum over the numbers of each image, which a block adds up.
#pragma once

#include "primitives.cuh"
#include "row_reduction.cuh"

// An image of `pixels` rows of `channels` numbers, as an array whose rows start every `pitch` elements holds it.
struct ImageShape {
  int pixels, channels;
};

// The sum over one image of error.loss(x, t), in every thread; where a gradient is wanted, scale * error.slope(x, t) is
// written to it, or added with `accumulate`. x, t and gradient point to the image.
template <class Error, class T>
__device__ __forceinline__ float loss_of_image(Error error, ImageShape shape, const float* x, int x_pitch,
                                               const float* t, int t_pitch, T* gradient, int gradient_pitch,
                                               float scale, bool accumulate) {
  float sum = 0.0f;
  for (int i = threadIdx.x; i < shape.pixels * shape.channels; i += blockDim.x) {
    const int pixel = shape.pixels == 1 ? 0 : i / shape.channels, channel = i - pixel * shape.channels;
    const float prediction = x[static_cast<long long>(pixel) * x_pitch + channel];
    const float target = t[static_cast<long long>(pixel) * t_pitch + channel];
    sum += error.loss(prediction, target);
    if (gradient) {
      T& place = gradient[static_cast<long long>(pixel) * gradient_pitch + channel];
      const float value = scale * error.slope(prediction, target);
      place = from_float<T>(accumulate ? to_float(place) + value : value);
    }
  }
  return block_reduce(sum, Add());
}
