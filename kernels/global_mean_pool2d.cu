// The mean over all pixels of an image (Lin, Chen and Yan, "Network in network", 2014, section 3.2).
//
//   forward   y[n,c] = the sum over h,w of x[n,h,w,c] / (H W)
//   backward  gx[n,h,w,c] = gy[n,c] / (H W), added to what gx holds with `accumulate`
//
// Layout: x and gx are N,H,W,C with a pitch; y and gy are N,C without gaps.
// Forward grid: x over images, y over 32 channels each; 32 x 8 threads. A warp reads 32 neighbouring channels of a
// pixel, and each of the 8 warps every eighth pixel; the warps' sums are added in their order, so the same numbers give
// the same bits. Shared memory: 8 x 32 floats.
// Backward grid: of pooling.cuh, over the pixels of gx; a thread moves 16 bytes of channels at once if WIDE, one
// channel if not.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "pooling.cuh"
#include "vectors.cuh"

namespace {

constexpr int TILE_CHANNELS = 32;
constexpr int WARPS = 8;

}  // namespace

extern "C" __global__ void __launch_bounds__(TILE_CHANNELS * WARPS)
    global_mean_pool2d_forward(OUTPUT STORED* __restrict__ y, const STORED* __restrict__ x, int x_pitch, int pixels,
                               int channels) {
  __shared__ float warp_sums[WARPS][TILE_CHANNELS];
  const int channel = blockIdx.y * TILE_CHANNELS + threadIdx.x;
  const STORED* image = x + static_cast<long long>(blockIdx.x) * pixels * x_pitch;
  float sum = 0.0f;
  if (channel < channels) {
#pragma unroll 4
    for (int pixel = threadIdx.y; pixel < pixels; pixel += WARPS) sum += to_float(at(image, x_pitch, pixel, channel));
  }
  warp_sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || channel >= channels) return;
#pragma unroll
  for (int warp = 1; warp < WARPS; ++warp) sum += warp_sums[warp][threadIdx.x];
  y[static_cast<long long>(blockIdx.x) * channels + channel] = from_float<STORED>(sum / static_cast<float>(pixels));
}

extern "C" __global__ void global_mean_pool2d_backward(STORED* __restrict__ gx, int gx_pitch,
                                                       const STORED* __restrict__ gy, int images, int rows,
                                                       int columns, int channels, int accumulate) {
  constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;
  const Position at = this_position<WIDTH>(images, rows, columns, channels);
  if (!at.exists) return;
  STORED* target = pixel_at(gx, gx_pitch, rows, columns, at.image, at.row, at.column, at.channel);
  const Floats<WIDTH> gradient = load_floats<WIDTH>(gy + static_cast<long long>(at.image) * channels + at.channel);
  const float pixels = static_cast<float>(rows * columns);
  Floats<WIDTH> result = {};
  if (accumulate) result = load_floats<WIDTH>(target);
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) result[i] += gradient[i] / pixels;
  store_floats(target, result);
}
