// Maximum pooling as AlexNet (3x3) and VGG (2x2) use it: square windows that advance by two and lie in the image as a
// whole. What it computes, with NaN and ties, is what maximum_pool2d.cu says of all windows; here the compiler knows
// the window, so that nothing is looped over and a thread asks for all that it needs before it waits for any.
//
//   forward   a thread owns a window
//   backward  a thread owns a cell of 2x2 pixels of gx, from the corner of window (p,q) on. One window of 2x2 lies over
//             it, or four of 3x3: (p,q), (p,q-1), (p-1,q) and (p-1,q-1), added in this order. So a gradient is read
//             once, or four times for four pixels, where a thread for each pixel would read it four or nine times.
//
// Layout: x and gx are N,H,W,C and y, gy N,P,Q,C with a pitch each; argmax is N,P,Q,C without gaps. The forward pass
// takes a null argmax too. A thread moves 16 bytes of channels at once: channels, pitches and addresses must allow it.
// Grid: of pooling.cuh, over the windows or the cells. No shared memory.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WINDOW: 2 | 3

#include "pooling.cuh"
#include "vectors.cuh"

namespace {

constexpr int WIDTH = CONTIGUOUS<STORED, true>;
constexpr int STRIDE = 2;
constexpr int OVERLAP = (WINDOW + STRIDE - 1) / STRIDE;  // windows over a cell, along each axis
constexpr int LAST_PLACE = WINDOW * WINDOW - 1;

// One window: where the maxima of its channels were, and their gradients.
struct Winners {
  bool exist;
  Vector<unsigned char, WIDTH> place;
  Vector<STORED, WIDTH> gradient;
};

}  // namespace

extern "C" __global__ void maximum_pool2d_stride2_forward(OUTPUT STORED* __restrict__ y, int y_pitch,
                                                          OUTPUT OPTIONAL unsigned char* __restrict__ argmax,
                                                          const STORED* __restrict__ x, int x_pitch, Pool2d geometry) {
  const Pool2d& g = geometry;
  const Position at = this_position<WIDTH>(g.N, g.P, g.Q, g.C);
  if (!at.exists) return;
  const STORED* row = pixel_at(x, x_pitch, g.H, g.W, at.image, STRIDE * at.row, STRIDE * at.column, at.channel);
  Vector<STORED, WIDTH> pixels[WINDOW][WINDOW];
#pragma unroll
  for (int r = 0; r < WINDOW; ++r, row += static_cast<long long>(g.W) * x_pitch)
#pragma unroll
    for (int s = 0; s < WINDOW; ++s) pixels[r][s] = load_vector<WIDTH>(row + s * static_cast<long long>(x_pitch));

  Vector<STORED, WIDTH> largest;
  Vector<unsigned char, WIDTH> place;
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) {
    float winner = to_float(pixels[0][0][i]);
    int winning_place = 0;
#pragma unroll
    for (int number = 1; number <= LAST_PLACE; ++number) {
      const float value = to_float(pixels[number / WINDOW][number % WINDOW][i]);
      if (value > winner || value != value) {  // never true again once `winner` is NaN, but for another NaN
        winner = value;
        winning_place = number;
      }
    }
    largest[i] = from_float<STORED>(winner);
    place[i] = static_cast<unsigned char>(winner != winner ? LAST_PLACE : winning_place);
  }
  store_vector(pixel_at(y, y_pitch, g.P, g.Q, at.image, at.row, at.column, at.channel), largest);
  if (argmax) store_vector(pixel_at(argmax, g.C, g.P, g.Q, at.image, at.row, at.column, at.channel), place);
}

// A window that does not exist is replaced by the nearest one for the loads, so that all of them start at once, and then
// left out.
extern "C" __global__ void maximum_pool2d_stride2_backward(STORED* __restrict__ gx, int gx_pitch,
                                                           const STORED* __restrict__ gy, int gy_pitch,
                                                           const unsigned char* __restrict__ argmax, Pool2d geometry,
                                                           int accumulate) {
  const Pool2d& g = geometry;
  const Position at = this_position<WIDTH>(g.N, (g.H + 1) / STRIDE, (g.W + 1) / STRIDE, g.C);
  if (!at.exists) return;
  Winners windows[OVERLAP][OVERLAP];
#pragma unroll
  for (int i = 0; i < OVERLAP; ++i)
#pragma unroll
    for (int j = 0; j < OVERLAP; ++j) {
      const int p = min(max(at.row - i, 0), g.P - 1), q = min(max(at.column - j, 0), g.Q - 1);
      windows[i][j] = {p == at.row - i && q == at.column - j,
                       load_vector<WIDTH>(pixel_at(argmax, g.C, g.P, g.Q, at.image, p, q, at.channel)),
                       load_vector<WIDTH>(pixel_at(gy, gy_pitch, g.P, g.Q, at.image, p, q, at.channel))};
    }

#pragma unroll
  for (int r = 0; r < STRIDE; ++r)
#pragma unroll
    for (int s = 0; s < STRIDE; ++s) {
      const int row = STRIDE * at.row + r, column = STRIDE * at.column + s;
      if (row >= g.H || column >= g.W) continue;
      STORED* const target = pixel_at(gx, gx_pitch, g.H, g.W, at.image, row, column, at.channel);
      Floats<WIDTH> sum = {};
      if (accumulate) sum = load_floats<WIDTH>(target);
#pragma unroll
      for (int i = 0; r + STRIDE * i < WINDOW; ++i)
#pragma unroll
        for (int j = 0; s + STRIDE * j < WINDOW; ++j) {
          const Winners& window = windows[i][j];
          const int place = (r + STRIDE * i) * WINDOW + s + STRIDE * j;
#pragma unroll
          for (int k = 0; k < WIDTH; ++k)
            sum[k] += window.exist && window.place[k] == place ? to_float(window.gradient[k]) : 0.0f;
        }
      store_floats(target, sum);
    }
}
