// Batch norm: what happens between the passes over the images, which are those of normalization.cu
// (Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
// 2015, algorithm 1).
//
//   forward    y = f(gamma (x - mean) / sqrt(variance + eps) + beta); variance = squares / count, the biased one
//              running = (1 - momentum) * running + momentum * batch, the running variance unbiased
//   backward   with h = (x - mean) * inverse_deviation and averages over the `rows` elements of a channel:
//              ggamma = sum of gy h; gbeta = sum of gy
//              gx = gamma inverse_deviation (gy - average gy - h * average (gy h))
//
// Layout: all vectors have a number for each channel. sums is [slice][kind][channel] as normalization.cu writes it,
// coefficients [kind][channel] as it reads them: the forward pass shift, scale, offset, the backward pass factor,
// shift, scale, offset.
// Grid: x runs over tiles of blockDim.x channels, which are the lanes of a block; its rows of threads take every
// blockDim.y-th slice, then merge in a fixed order. Shared memory: what merge_rows takes. batch_norm_running is
// one-dimensional, a thread for each channel.
//
// Architectures: sm_75 and later

#include "normalization.cuh"
#include "primitives.cuh"

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    batch_norm_statistics(OUTPUT float* __restrict__ coefficients, OUTPUT float* __restrict__ mean,
                          OUTPUT float* __restrict__ inverse_deviation, float* __restrict__ running_mean,
                          float* __restrict__ running_variance, const float* __restrict__ sums,
                          const float* __restrict__ gamma, const float* __restrict__ beta, int rows, int channels,
                          int slices, int slice_rows, float eps, float momentum) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  Moments<1> moments = {};
  if (channel < channels) {
#pragma unroll 4
    for (int slice = threadIdx.y; slice < slices; slice += blockDim.y) {
      const float* kinds = sums + static_cast<long long>(slice) * MOMENT_KINDS * channels + channel;
      const float count = static_cast<float>(rows_in_slice(rows, slice_rows, slice));
      moments.merge({count, {kinds[0]}, {kinds[channels]}, {kinds[2 * channels]}});
    }
  }
  merge_rows<COLUMN_THREADS>(moments);
  if (threadIdx.y != 0 || channel >= channels) return;

  const float rounded_mean = moments.shift[0] + moments.rest[0];
  const float inverse = 1.0f / sqrtf(moments.squares[0] / moments.count + eps);
  mean[channel] = rounded_mean;
  inverse_deviation[channel] = inverse;
  const float unbiased = moments.squares[0] / (rows > 1 ? moments.count - 1.0f : 1.0f);
  running_mean[channel] = fmaf(1.0f - momentum, running_mean[channel], momentum * rounded_mean);
  running_variance[channel] = fmaf(1.0f - momentum, running_variance[channel], momentum * unbiased);

  const float scale = inverse * gamma[channel];
  const float lost_to_rounding = (moments.shift[0] - rounded_mean) + moments.rest[0];
  coefficients[channel] = rounded_mean;
  coefficients[channels + channel] = scale;
  coefficients[2 * channels + channel] = fmaf(-lost_to_rounding, scale, beta[channel]);
}

// The coefficients of the forward pass from running statistics.
extern "C" __global__ void batch_norm_running(OUTPUT float* __restrict__ coefficients,
                                              const float* __restrict__ running_mean,
                                              const float* __restrict__ running_variance,
                                              const float* __restrict__ gamma, const float* __restrict__ beta,
                                              int channels, float eps) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel >= channels) return;
  coefficients[channel] = running_mean[channel];
  coefficients[channels + channel] = gamma[channel] / sqrtf(running_variance[channel] + eps);
  coefficients[2 * channels + channel] = beta[channel];
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
    batch_norm_gradient(OUTPUT float* __restrict__ coefficients, float* __restrict__ ggamma,
                        float* __restrict__ gbeta, const float* __restrict__ sums, const float* __restrict__ mean,
                        const float* __restrict__ inverse_deviation, const float* __restrict__ gamma, int rows,
                        int channels, int slices, int accumulate) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  Sums<PRODUCT_KINDS> total = {};
  if (channel < channels) {
#pragma unroll 4
    for (int slice = threadIdx.y; slice < slices; slice += blockDim.y) {
      const float* kinds = sums + static_cast<long long>(slice) * PRODUCT_KINDS * channels + channel;
      total.merge({{kinds[0], kinds[channels]}});
    }
  }
  merge_rows<COLUMN_THREADS>(total);
  if (threadIdx.y != 0 || channel >= channels) return;

  const float inverse = inverse_deviation[channel];
  const float sum = total.values[0], sum_with_h = total.values[1] * inverse;
  gbeta[channel] = accumulate ? gbeta[channel] + sum : sum;
  ggamma[channel] = accumulate ? ggamma[channel] + sum_with_h : sum_with_h;

  const float count = static_cast<float>(rows), factor = gamma[channel] * inverse;
  coefficients[channel] = factor;
  coefficients[channels + channel] = mean[channel];
  coefficients[2 * channels + channel] = -factor * inverse * (sum_with_h / count);
  coefficients[3 * channels + channel] = -factor * (sum / count);
}
