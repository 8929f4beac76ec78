// Median pooling, forward and backward, for windows of any size. Padding does not count.
//
//   forward   y[n,p,q,c] = the middle one of the pixels of the window that lie in the image, in the order of their
//             values; of an even number the mean of the two middle ones; NaN if the window holds one
//   backward  half of gy[n,p,q,c] goes to the first place (r, s) that holds the lower middle value, half to the first
//             that holds the upper one; both to the last place in the image where the window holds a NaN
//
// Method: counting. With `less` pixels of the window below a value and `equal` ones the same, it has the ranks less to
// less + equal - 1; the middle ranks of n pixels are (n - 1) / 2 and n / 2. This takes n^2 comparisons a window, but no
// memory and no places from the forward pass: a thread of the backward pass owns a pixel of gx, and asks of each window
// over it whether the pixel is the first of a value with a middle rank. That is n comparisons a window and pixel, as
// many in all, and nothing is added twice at once. Windows overlap, so nearly all reads come from the nearest cache.
//
// Layout: x and gx are N,H,W,C and y, gy N,P,Q,C with a pitch each.
// Grid: of pooling.cuh, over the pixels that are written, one channel a thread. No shared memory.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "elementwise.cuh"
#include "pooling.cuh"
#include "primitives.cuh"

namespace {

constexpr unsigned NOT_A_NUMBER = 0x7fffffffu;  // its bits

// How a value stands among the pixels of a window.
struct Standing {
  int less, equal;
  int equal_before;  // those of `equal` in places before its own
  bool beside_nan;   // the window holds a NaN

  __device__ __forceinline__ bool has_rank(int rank) const { return less <= rank && rank < less + equal; }
};

// One channel of one image of x.
struct Image {
  const STORED* first;
  int pitch, columns;

  __device__ __forceinline__ float operator()(int row, int column) const {
    return to_float(first[static_cast<long long>(row * columns + column) * pitch]);
  }
};

__device__ __forceinline__ Image image_of(const STORED* x, int x_pitch, const Pool2d& g, const Position& at) {
  return {pixel_at(x, x_pitch, g.H, g.W, at.image, 0, 0, at.channel), x_pitch, g.W};
}

__device__ __forceinline__ Standing standing(const Image& x, const Window& window, int own_row, int own_column) {
  const float own = x(own_row, own_column);
  Standing found = {0, 0, 0, false};
  for (int row = window.rows.first; row < window.rows.stop; ++row) {
    for (int column = window.columns.first; column < window.columns.stop; ++column) {
      const float value = x(row, column);
      const bool is_before = row < own_row || (row == own_row && column < own_column);
      found.less += value < own;
      found.equal += value == own;
      found.equal_before += value == own && is_before;
      found.beside_nan = found.beside_nan || value != value;
    }
  }
  return found;
}

__device__ __forceinline__ float median(const Image& x, const Window& window) {
  const int lower_rank = (window.pixels() - 1) / 2, upper_rank = window.pixels() / 2;
  float lower = 0.0f, upper = 0.0f;
  bool lower_found = false, upper_found = false;
  for (int row = window.rows.first; row < window.rows.stop; ++row) {
    for (int column = window.columns.first; column < window.columns.stop; ++column) {
      const Standing own = standing(x, window, row, column);
      if (own.beside_nan) return __uint_as_float(NOT_A_NUMBER);
      if (!lower_found && own.has_rank(lower_rank)) {
        lower = x(row, column);
        lower_found = true;
      }
      if (!upper_found && own.has_rank(upper_rank)) {
        upper = x(row, column);
        upper_found = true;
      }
      if (lower_found && upper_found) {
        // Halved before they are added, so that the sum of two large values stays finite.
        return lower_rank == upper_rank ? lower : 0.5f * lower + 0.5f * upper;
      }
    }
  }
  return __uint_as_float(NOT_A_NUMBER);
}

}  // namespace

extern "C" __global__ void median_pool2d_forward(OUTPUT STORED* __restrict__ y, int y_pitch,
                                                 const STORED* __restrict__ x, int x_pitch, Pool2d geometry) {
  const Pool2d& g = geometry;
  const Position at = this_position<1>(g.N, g.P, g.Q, g.C);
  if (!at.exists) return;
  const float value = median(image_of(x, x_pitch, g, at), window_of(g, at.row, at.column));
  *pixel_at(y, y_pitch, g.P, g.Q, at.image, at.row, at.column, at.channel) = from_float<STORED>(value);
}

extern "C" __global__ void median_pool2d_backward(STORED* __restrict__ gx, int gx_pitch,
                                                  const STORED* __restrict__ gy, int gy_pitch,
                                                  const STORED* __restrict__ x, int x_pitch, Pool2d geometry,
                                                  int accumulate) {
  const Pool2d& g = geometry;
  const Position at = this_position<1>(g.N, g.H, g.W, g.C);
  if (!at.exists) return;
  const Image image = image_of(x, x_pitch, g, at);
  float lower_sum = 0.0f, upper_sum = 0.0f;
  for_each_window_over(g, at.row, at.column, [&](int p, int q, int) {
    const Window window = window_of(g, p, q);
    const Standing own = standing(image, window, at.row, at.column);
    const bool is_last = at.row == window.rows.stop - 1 && at.column == window.columns.stop - 1;
    const bool is_first_equal = own.equal_before == 0;
    const bool is_lower = own.beside_nan ? is_last : is_first_equal && own.has_rank((window.pixels() - 1) / 2);
    const bool is_upper = own.beside_nan ? is_last : is_first_equal && own.has_rank(window.pixels() / 2);
    const float half = 0.5f * to_float(*pixel_at(gy, gy_pitch, g.P, g.Q, at.image, p, q, at.channel));
    lower_sum += is_lower ? half : 0.0f;
    upper_sum += is_upper ? half : 0.0f;
  });
  STORED* target = pixel_at(gx, gx_pitch, g.H, g.W, at.image, at.row, at.column, at.channel);
  const float held = accumulate ? to_float(*target) : 0.0f;
  *target = from_float<STORED>(held + lower_sum + upper_sum);
}
