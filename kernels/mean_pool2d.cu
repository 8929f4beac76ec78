// Mean pooling, forward and backward. Padding is not counted: a window at the border holds fewer pixels.
//
//   forward   y[n,p,q,c] = the sum of x over the pixels of the window that lie in the image / their number
//   backward  gx[n,h,w,c] = the sum over the windows that hold the pixel of gy[n,p,q,c] / that window's number of
//             pixels, from the last window to the first; added to what gx holds with `accumulate`
//
// Sums are float; the forward one runs over rising places of the window, and the backward one too, because it gathers
// in the order of falling p and q.
//
// Layout: x and gx are N,H,W,C and y, gy N,P,Q,C with a pitch each.
// Grid: of pooling.cuh, over the pixels that are written. No shared memory.
// A thread moves 16 bytes of channels at once if WIDE, one channel if not.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "pooling.cuh"
#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;

}  // namespace

extern "C" __global__ void mean_pool2d_forward(OUTPUT STORED* __restrict__ y, int y_pitch,
                                               const STORED* __restrict__ x, int x_pitch, Pool2d geometry) {
  const Pool2d& g = geometry;
  const Position at = this_position<WIDTH>(g.N, g.P, g.Q, g.C);
  if (!at.exists) return;
  const Window window = window_of(g, at.row, at.column);
  Floats<WIDTH> sum = {};
  for (int row = window.rows.first; row < window.rows.stop; ++row) {
    for (int column = window.columns.first; column < window.columns.stop; ++column) {
      const Floats<WIDTH> value =
          load_floats<WIDTH>(pixel_at(x, x_pitch, g.H, g.W, at.image, row, column, at.channel));
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) sum[i] += value[i];
    }
  }
  const float pixels = static_cast<float>(window.pixels());
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) sum[i] /= pixels;
  store_floats(pixel_at(y, y_pitch, g.P, g.Q, at.image, at.row, at.column, at.channel), sum);
}

extern "C" __global__ void mean_pool2d_backward(STORED* __restrict__ gx, int gx_pitch, const STORED* __restrict__ gy,
                                                int gy_pitch, Pool2d geometry, int accumulate) {
  const Pool2d& g = geometry;
  const Position at = this_position<WIDTH>(g.N, g.H, g.W, g.C);
  if (!at.exists) return;
  STORED* target = pixel_at(gx, gx_pitch, g.H, g.W, at.image, at.row, at.column, at.channel);
  Floats<WIDTH> sum = {};
  if (accumulate) sum = load_floats<WIDTH>(target);
  for_each_window_over(g, at.row, at.column, [&](int p, int q, int) {
    const float pixels = static_cast<float>(window_of(g, p, q).pixels());
    const Floats<WIDTH> gradient = load_floats<WIDTH>(pixel_at(gy, gy_pitch, g.P, g.Q, at.image, p, q, at.channel));
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) sum[i] += gradient[i] / pixels;
  });
  store_floats(target, sum);
}
