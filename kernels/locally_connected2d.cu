// Locally connected layer: a convolution whose filters differ from output pixel to output pixel; one group.
//
//   forward          y[n,p,q,k] = bias[p,q,k] + sum over r,s,c of x[n,h,v,c] * w[p,q,r,s,c,k]
//   backward data    gx[n,h,v,c] = sum over k and those p,q,r,s that meet h,v, of gy[n,p,q,k] * w[p,q,r,s,c,k]
//   backward filter  gw[p,q,r,s,c,k] = sum over n of x[n,h,v,c] * gy[n,p,q,k]
//                    gbias[p,q,k] = sum over n of gy[n,p,q,k]
//
// with h = p * stride_rows + r * dilation_rows - padding_top, and v alike; pixels outside the image count as 0.
//
// Method: every weight meets each image once only, so what counts is to read the weights once, side by side. Forward
// and backward data take IMAGES images at a time for each weight that they read.
//
// Layout: x and gx are N,H,W,C and y and gy N,P,Q,K, each with a pitch; w and gw are P,Q,R,S,C,K and bias and gbias
// P,Q,K without gaps; bias and gbias may be null.
// Grid: one-dimensional, any size. Forward: a thread has one p,q,k, neighbours neighbouring k. Backward data: a warp
// has one h,v,c, its lanes share the k, and their sums are added as a tree. Backward filter: a thread has one weight.
// No shared memory.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "elementwise.cuh"
#include "geometry.cuh"
#include "primitives.cuh"
#include "reduction.cuh"

namespace {

constexpr int BLOCK_THREADS = 256;
constexpr int IMAGES = 8;
constexpr int FORWARD_BLOCKS = 4;  // at once on a multiprocessor; for more, registers would not suffice

// The row (or column) of the image that an output meets by a tap; -1 outside the image.
__device__ __forceinline__ int met(int output, int tap, int size, int stride, int padding, int dilation) {
  const int place = output * stride + tap * dilation - padding;
  return place < size ? max(place, -1) : -1;
}

// The output row (or column) that meets a place of the image by a tap; -1 when there is none.
__device__ __forceinline__ int meeting(int place, int tap, int outputs, int stride, int padding, int dilation) {
  const int start = place + padding - tap * dilation;
  return start >= 0 && start % stride == 0 && start / stride < outputs ? start / stride : -1;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, FORWARD_BLOCKS)
    locally_connected2d_forward(OUTPUT STORED* __restrict__ y, int y_pitch, const STORED* __restrict__ x, int x_pitch,
                                const STORED* __restrict__ w, OPTIONAL const float* __restrict__ bias,
                                Convolution2d geometry) {
  const Convolution2d& g = geometry;
  for_each_element((g.N + IMAGES - 1) / IMAGES, g.P * g.Q * g.K, [=](int chunk, int output) {
    const int pixel = output / g.K, p = pixel / g.Q, q = pixel % g.Q, k = output % g.K;
    const int first_image = chunk * IMAGES, images = min(IMAGES, g.N - first_image);
    float sum[IMAGES] = {};
    for (int r = 0; r < g.R; ++r) {
      const int h = met(p, r, g.H, g.stride_rows, g.padding_top, g.dilation_rows);
      for (int s = 0; s < g.S; ++s) {
        const int v = met(q, s, g.W, g.stride_columns, g.padding_left, g.dilation_columns);
        if (h < 0 || v < 0) continue;
        for (int c = 0; c < g.C; ++c) {
          const float weight = to_float(w[(((pixel * g.R + r) * g.S + s) * g.C + c) * g.K + k]);
#pragma unroll
          for (int i = 0; i < IMAGES; ++i) {
            if (i >= images) break;
            sum[i] = fmaf(to_float(at(x, x_pitch, ((first_image + i) * g.H + h) * g.W + v, c)), weight, sum[i]);
          }
        }
      }
    }
#pragma unroll
    for (int i = 0; i < IMAGES; ++i) {
      if (i >= images) break;
      const float value = sum[i] + (bias ? bias[output] : 0.0f);
      at(y, y_pitch, (first_image + i) * g.P * g.Q + pixel, k) = from_float<STORED>(value);
    }
  });
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    locally_connected2d_backward_data(STORED* __restrict__ gx, int gx_pitch, const STORED* __restrict__ gy,
                                      int gy_pitch, const STORED* __restrict__ w, Convolution2d geometry,
                                      int accumulate) {
  const Convolution2d& g = geometry;
  const unsigned inputs = g.H * g.W * g.C, warps = (g.N + IMAGES - 1) / IMAGES * inputs;
  const unsigned step = gridDim.x * (BLOCK_THREADS / WARP_THREADS);
  const int lane = threadIdx.x % WARP_THREADS;
  for (unsigned warp = (blockIdx.x * BLOCK_THREADS + threadIdx.x) / WARP_THREADS; warp < warps; warp += step) {
    const int input = warp % inputs, pixel = input / g.C, h = pixel / g.W, v = pixel % g.W, c = input % g.C;
    const int first_image = warp / inputs * IMAGES, images = min(IMAGES, g.N - first_image);
    float sum[IMAGES] = {};
    for (int r = 0; r < g.R; ++r) {
      const int p = meeting(h, r, g.P, g.stride_rows, g.padding_top, g.dilation_rows);
      for (int s = 0; s < g.S; ++s) {
        const int q = meeting(v, s, g.Q, g.stride_columns, g.padding_left, g.dilation_columns);
        if (p < 0 || q < 0) continue;
        for (int k = lane; k < g.K; k += WARP_THREADS) {
          const float weight = to_float(w[((((p * g.Q + q) * g.R + r) * g.S + s) * g.C + c) * g.K + k]);
#pragma unroll
          for (int i = 0; i < IMAGES; ++i) {
            if (i >= images) break;
            sum[i] = fmaf(to_float(at(gy, gy_pitch, ((first_image + i) * g.P + p) * g.Q + q, k)), weight, sum[i]);
          }
        }
      }
    }
#pragma unroll
    for (int i = 0; i < IMAGES; ++i) {
      const float total = warp_sum(sum[i]);
      if (i >= images || lane != 0) continue;
      STORED& target = at(gx, gx_pitch, (first_image + i) * g.H * g.W + pixel, c);
      target = from_float<STORED>(accumulate ? to_float(target) + total : total);
    }
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    locally_connected2d_backward_filter(float* __restrict__ gw, OPTIONAL float* __restrict__ gbias,
                                        const STORED* __restrict__ x, int x_pitch, const STORED* __restrict__ gy,
                                        int gy_pitch, Convolution2d geometry, int accumulate) {
  const Convolution2d& g = geometry;
  const int taps = g.R * g.S * g.C;
  for_each_element(g.P * g.Q, taps * g.K, [=](int pixel, int weight) {
    const int k = weight % g.K, tap = weight / g.K, c = tap % g.C, s = tap / g.C % g.S, r = tap / g.C / g.S;
    const int h = met(pixel / g.Q, r, g.H, g.stride_rows, g.padding_top, g.dilation_rows);
    const int v = met(pixel % g.Q, s, g.W, g.stride_columns, g.padding_left, g.dilation_columns);
    const bool inside = h >= 0 && v >= 0, sums_bias = gbias && tap == 0;
    float sum = 0.0f, bias_sum = 0.0f;
    if (inside || sums_bias) {
      for (int n = 0; n < g.N; ++n) {
        const float gradient = to_float(at(gy, gy_pitch, n * g.P * g.Q + pixel, k));
        if (inside) sum = fmaf(to_float(at(x, x_pitch, (n * g.H + h) * g.W + v, c)), gradient, sum);
        bias_sum += gradient;
      }
    }
    float& target = gw[(pixel * taps + tap) * g.K + k];
    target = accumulate ? target + sum : sum;
    if (!sums_bias) return;
    float& bias_target = gbias[pixel * g.K + k];
    bias_target = accumulate ? bias_target + bias_sum : bias_sum;
  });
}
