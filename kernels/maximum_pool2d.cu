// Maximum pooling (Weng, Ahuja and Huang, "Cresceptron", 1992), forward and backward.
//
//   forward   y[n,p,q,c] = the largest of x[n, p * stride_rows + r - padding_top,
//             q * stride_columns + s - padding_left, c] over the places (r, s) of the window that lie in the image;
//             argmax = r * S + s of the first place that holds it
//   backward  gx[n,h,w,c] = the sum of gy[n,p,q,c] over the windows whose argmax is this pixel, from the last window to
//             the first; added to what gx holds with `accumulate`
//
// A NaN in the window wins; its place is then the last one in the image. Padding never wins.
// The backward pass gathers: a thread owns a pixel of gx and looks at the windows over it, so nothing is added twice
// at once, and the order of additions is fixed. Adding in the order of falling p and q is adding in the order of rising
// places, as the CPU does.
//
// Layout: x and gx are N,H,W,C and y, gy N,P,Q,C with a pitch each; argmax is N,P,Q,C without gaps, one byte for windows
// of up to 256 places, else an int. The forward pass takes a null argmax too.
// Grid: of pooling.cuh, over the pixels that are written. No shared memory.
// A thread moves 16 bytes of channels at once if WIDE, one channel if not; an int argmax is moved one by one.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "pooling.cuh"
#include "vectors.cuh"

namespace {

constexpr unsigned MINUS_INFINITY = 0xff800000u;  // its bits

template <int WIDTH, class Place>
__device__ __forceinline__ void forward(STORED* __restrict__ y, int y_pitch, Place* __restrict__ argmax,
                                        const STORED* __restrict__ x, int x_pitch, const Pool2d& g) {
  const Position at = this_position<WIDTH>(g.N, g.P, g.Q, g.C);
  if (!at.exists) return;
  const Window window = window_of(g, at.row, at.column);
  Floats<WIDTH> largest;
  int place[WIDTH];
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) {
    largest[i] = __uint_as_float(MINUS_INFINITY);
    place[i] = place_in_window(g, at.row, at.column, window.rows.first, window.columns.first);
  }
  for (int row = window.rows.first; row < window.rows.stop; ++row) {
    for (int column = window.columns.first; column < window.columns.stop; ++column) {
      const int number = place_in_window(g, at.row, at.column, row, column);
      const Floats<WIDTH> value =
          load_floats<WIDTH>(pixel_at(x, x_pitch, g.H, g.W, at.image, row, column, at.channel));
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) {
        const bool is_nan = value[i] != value[i];
        if (value[i] > largest[i] || is_nan) {  // never true again once `largest` is NaN, but for another NaN
          largest[i] = value[i];
          place[i] = number;
        }
      }
    }
  }
  store_floats(pixel_at(y, y_pitch, g.P, g.Q, at.image, at.row, at.column, at.channel), largest);
  if (!argmax) return;
  const int last = place_in_window(g, at.row, at.column, window.rows.stop - 1, window.columns.stop - 1);
  Vector<Place, WIDTH> found;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) found[i] = static_cast<Place>(largest[i] != largest[i] ? last : place[i]);
  store_vector(pixel_at(argmax, g.C, g.P, g.Q, at.image, at.row, at.column, at.channel), found);
}

template <int WIDTH, class Place>
__device__ __forceinline__ void backward(STORED* __restrict__ gx, int gx_pitch, const STORED* __restrict__ gy,
                                         int gy_pitch, const Place* __restrict__ argmax, const Pool2d& g,
                                         bool accumulate) {
  const Position at = this_position<WIDTH>(g.N, g.H, g.W, g.C);
  if (!at.exists) return;
  STORED* target = pixel_at(gx, gx_pitch, g.H, g.W, at.image, at.row, at.column, at.channel);
  Floats<WIDTH> sum = {};
  if (accumulate) sum = load_floats<WIDTH>(target);
  for_each_window_over(g, at.row, at.column, [&](int p, int q, int place) {
    const Vector<Place, WIDTH> winner =
        load_vector<WIDTH>(pixel_at(argmax, g.C, g.P, g.Q, at.image, p, q, at.channel));
    const Floats<WIDTH> gradient = load_floats<WIDTH>(pixel_at(gy, gy_pitch, g.P, g.Q, at.image, p, q, at.channel));
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) sum[i] += winner[i] == place ? gradient[i] : 0.0f;
  });
  store_floats(target, sum);
}

constexpr int WIDTH = CONTIGUOUS<STORED, WIDE>;

}  // namespace

extern "C" __global__ void maximum_pool2d_forward(OUTPUT STORED* __restrict__ y, int y_pitch,
                                                  OUTPUT OPTIONAL unsigned char* __restrict__ argmax,
                                                  const STORED* __restrict__ x, int x_pitch, Pool2d geometry) {
  forward<WIDTH>(y, y_pitch, argmax, x, x_pitch, geometry);
}

extern "C" __global__ void maximum_pool2d_forward_large(OUTPUT STORED* __restrict__ y, int y_pitch,
                                                        OUTPUT OPTIONAL int* __restrict__ argmax,
                                                        const STORED* __restrict__ x, int x_pitch, Pool2d geometry) {
  forward<1>(y, y_pitch, argmax, x, x_pitch, geometry);
}

extern "C" __global__ void maximum_pool2d_backward(STORED* __restrict__ gx, int gx_pitch,
                                                   const STORED* __restrict__ gy, int gy_pitch,
                                                   const unsigned char* __restrict__ argmax, Pool2d geometry,
                                                   int accumulate) {
  backward<WIDTH>(gx, gx_pitch, gy, gy_pitch, argmax, geometry, accumulate != 0);
}

extern "C" __global__ void maximum_pool2d_backward_large(STORED* __restrict__ gx, int gx_pitch,
                                                         const STORED* __restrict__ gy, int gy_pitch,
                                                         const int* __restrict__ argmax, Pool2d geometry,
                                                         int accumulate) {
  backward<1>(gx, gx_pitch, gy, gy_pitch, argmax, geometry, accumulate != 0);
}
