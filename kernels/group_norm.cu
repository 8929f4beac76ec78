// Group norm: what happens between the passes over the images, which are those of normalization.cu
// (Wu and He, "Group normalization", 2018).
//
//   forward    y = gamma (x - mean) / sqrt(variance + eps) + beta, the statistics over the pixels and the channels of
//              one group of one image, the variance biased
//   backward   with h = (x - mean) * inverse_deviation and averages over the elements of a group:
//              ggamma = sum of gy h and gbeta = sum of gy, over all images
//              gx = (gamma gy - average (gamma gy) - h * average (gamma gy h)) * inverse_deviation
//
// Layout: mean and inverse_deviation are [image][group]; gamma, beta and their gradients have a number for each
// channel. sums is [image][slice][kind][channel] as normalization.cu writes it, coefficients [image][kind][channel] as
// it reads them: the forward pass shift, scale, offset, the backward pass factor, shift, scale, offset.
// Grid: group_norm_statistics and group_norm_gradient have a block for each group of each image, one lane wide, whose
// threads take the sums of its channels and slices in turn. group_norm_parameters is the reduction of batch_norm.cu:
// x runs over tiles of blockDim.x channels, and the rows of threads take every blockDim.y-th slice of all images.
// Shared memory: what merge_rows takes, and what its result needs to reach all threads.
//
// Architectures: sm_75 and later

#include "normalization.cuh"
#include "primitives.cuh"

namespace {

constexpr int GROUP_THREADS = 128;

// One group of one image: a run of channels, and where the sums of the image begin.
struct Group {
  int image, group_channels, first_channel;

  __device__ __forceinline__ Group(int channels, int groups) {
    image = blockIdx.x / groups;
    group_channels = channels / groups;
    first_channel = blockIdx.x % groups * group_channels;
  }
};

}  // namespace

extern "C" __global__ void __launch_bounds__(GROUP_THREADS)
    group_norm_statistics(OUTPUT float* __restrict__ coefficients, OUTPUT float* __restrict__ mean,
                          OUTPUT float* __restrict__ inverse_deviation, const float* __restrict__ sums,
                          const float* __restrict__ gamma, const float* __restrict__ beta, int rows, int channels,
                          int slices, int slice_rows, int groups, float eps) {
  __shared__ float shared_mean, shared_lost_to_rounding, shared_inverse;
  const Group group(channels, groups);
  const float* image_sums = sums + static_cast<long long>(group.image) * slices * MOMENT_KINDS * channels;
  Moments<1> moments = {};
  for (int item = threadIdx.y; item < slices * group.group_channels; item += GROUP_THREADS) {
    const int slice = item / group.group_channels, channel = group.first_channel + item % group.group_channels;
    const float* kinds = image_sums + static_cast<long long>(slice) * MOMENT_KINDS * channels + channel;
    const float count = static_cast<float>(rows_in_slice(rows, slice_rows, slice));
    moments.merge({count, {kinds[0]}, {kinds[channels]}, {kinds[2 * channels]}});
  }
  merge_rows<GROUP_THREADS>(moments);
  if (threadIdx.y == 0) {
    shared_mean = moments.shift[0] + moments.rest[0];
    shared_lost_to_rounding = (moments.shift[0] - shared_mean) + moments.rest[0];
    shared_inverse = 1.0f / sqrtf(moments.squares[0] / moments.count + eps);
    mean[blockIdx.x] = shared_mean;
    inverse_deviation[blockIdx.x] = shared_inverse;
  }
  __syncthreads();

  float* image_coefficients = coefficients + static_cast<long long>(group.image) * COEFFICIENT_KINDS * channels;
  for (int i = threadIdx.y; i < group.group_channels; i += GROUP_THREADS) {
    const int channel = group.first_channel + i;
    const float scale = shared_inverse * gamma[channel];
    image_coefficients[channel] = shared_mean;
    image_coefficients[channels + channel] = scale;
    image_coefficients[2 * channels + channel] = fmaf(-shared_lost_to_rounding, scale, beta[channel]);
  }
}

extern "C" __global__ void __launch_bounds__(GROUP_THREADS)
    group_norm_gradient(OUTPUT float* __restrict__ coefficients, const float* __restrict__ sums,
                        const float* __restrict__ mean, const float* __restrict__ inverse_deviation,
                        const float* __restrict__ gamma, int rows, int channels, int slices, int groups) {
  __shared__ float shared_sum, shared_sum_with_h;
  const Group group(channels, groups);
  const float* image_sums = sums + static_cast<long long>(group.image) * slices * PRODUCT_KINDS * channels;
  Sums<PRODUCT_KINDS> total = {};
  for (int item = threadIdx.y; item < slices * group.group_channels; item += GROUP_THREADS) {
    const int slice = item / group.group_channels, channel = group.first_channel + item % group.group_channels;
    const float* kinds = image_sums + static_cast<long long>(slice) * PRODUCT_KINDS * channels + channel;
    total.merge({{gamma[channel] * kinds[0], gamma[channel] * kinds[channels]}});
  }
  merge_rows<GROUP_THREADS>(total);
  const float inverse = inverse_deviation[blockIdx.x];
  if (threadIdx.y == 0) {
    shared_sum = total.values[0];
    shared_sum_with_h = total.values[1] * inverse;
  }
  __syncthreads();

  const float count = static_cast<float>(rows) * static_cast<float>(group.group_channels);
  float* image_coefficients = coefficients + static_cast<long long>(group.image) * BACKWARD_KINDS * channels;
  for (int i = threadIdx.y; i < group.group_channels; i += GROUP_THREADS) {
    const int channel = group.first_channel + i;
    image_coefficients[channel] = gamma[channel] * inverse;
    image_coefficients[channels + channel] = mean[blockIdx.x];
    image_coefficients[2 * channels + channel] = -inverse * inverse * (shared_sum_with_h / count);
    image_coefficients[3 * channels + channel] = -inverse * (shared_sum / count);
  }
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    group_norm_parameters(float* __restrict__ ggamma, float* __restrict__ gbeta, const float* __restrict__ sums,
                          const float* __restrict__ inverse_deviation, int images, int channels, int slices,
                          int groups, int accumulate) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  Sums<PRODUCT_KINDS> total = {};
  if (channel < channels) {
    const int group = channel / (channels / groups);
#pragma unroll 4
    for (int slice = threadIdx.y; slice < images * slices; slice += blockDim.y) {
      const float* kinds = sums + static_cast<long long>(slice) * PRODUCT_KINDS * channels + channel;
      total.merge({{kinds[0], kinds[channels] * inverse_deviation[slice / slices * groups + group]}});
    }
  }
  merge_rows<COLUMN_THREADS>(total);
  if (threadIdx.y != 0 || channel >= channels) return;
  gbeta[channel] = accumulate ? gbeta[channel] + total.values[0] : total.values[0];
  ggamma[channel] = accumulate ? ggamma[channel] + total.values[1] : total.values[1];
}
