// ReLU (Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010).
//
//   forward   y  = max(0, x)
//   backward  gx = gy where y > 0, else 0; added to what gx holds with `accumulate`
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. A dense array is one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th element. No shared memory.
// y may be x and gx may be gy: that is why no pointer is __restrict__.

#include "primitives.cuh"

namespace {

// Calls f(row, channel) for this thread's share of all elements.
template <class Function>
__device__ __forceinline__ void for_each_element(int rows, int channels, Function f) {
  const long long elements = static_cast<long long>(rows) * channels;
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    const int row = static_cast<int>(i / channels);
    f(row, static_cast<int>(i - static_cast<long long>(row) * channels));
  }
}

}  // namespace

extern "C" __global__ void relu_forward_float32(OUTPUT float* y, int y_pitch, const float* x, int x_pitch, int rows,
                                                int channels) {
  for_each_element(rows, channels, [=](int row, int channel) {
    y[static_cast<long long>(row) * y_pitch + channel] = relu(x[static_cast<long long>(row) * x_pitch + channel]);
  });
}

extern "C" __global__ void relu_backward_float32(float* gx, int gx_pitch, const float* gy, int gy_pitch,
                                                 const float* y, int y_pitch, int rows, int channels,
                                                 int accumulate) {
  for_each_element(rows, channels, [=](int row, int channel) {
    const float passed = y[static_cast<long long>(row) * y_pitch + channel] > 0.0f
                             ? gy[static_cast<long long>(row) * gy_pitch + channel]
                             : 0.0f;
    float& target = gx[static_cast<long long>(row) * gx_pitch + channel];
    target = accumulate ? target + passed : passed;
  });
}
