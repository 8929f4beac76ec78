// From pictures of bytes to the numbers a network reads: crop, mirror and normalise in one pass.
//
//   y[n,h,w,c] = (pixel / 255 - mean[c]) / deviation[c], computed as pixel * factor[c] + offset[c] with
//   factor = 1 / (255 deviation) and offset = -mean / deviation, in double, both rounded to float
//   pixel = images[n, top + h, left + w, c], or with `mirror` images[n, top + h, left + W - 1 - w, c]; 0 outside the
//   picture
//
// The product and the sum are rounded one after the other, as the CPU does, so both give the same floats.
//
// Layout: images is N,H0,W0,C without gaps; placement holds top, left and mirror of each picture; y is N,H,W,C with a
// pitch.
// Grid: one-dimensional, any size; a block takes every gridDim.x-th row of y, its threads the elements of that row, so
// that neighbouring threads read and write neighbouring bytes and numbers.
// Shared memory: dynamic, 2 C floats, computed once a block because division in double is slow.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "primitives.cuh"

extern "C" __global__ void normalize_images(OUTPUT STORED* __restrict__ y, int y_pitch,
                                            const unsigned char* __restrict__ images,
                                            const int* __restrict__ placement, const double* __restrict__ mean,
                                            const double* __restrict__ deviation, int N, int H, int W, int C,
                                            int picture_rows, int picture_columns) {
  DYNAMIC_SHARED(shared);
  float* const factor = reinterpret_cast<float*>(shared);
  float* const offset = factor + C;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    factor[c] = static_cast<float>(1.0 / (255.0 * deviation[c]));
    offset[c] = static_cast<float>(-mean[c] / deviation[c]);
  }
  __syncthreads();

  for (int row = blockIdx.x; row < N * H; row += gridDim.x) {
    const int n = row / H, h = row - n * H;
    const int top = placement[3 * n], left = placement[3 * n + 1];
    const bool mirror = placement[3 * n + 2] != 0;
    const bool row_exists = top + h >= 0 && top + h < picture_rows;
    const long long picture_row =
        (static_cast<long long>(n) * picture_rows + (row_exists ? top + h : 0)) * picture_columns;
    const long long first_pixel = static_cast<long long>(row) * W;
    for (int i = threadIdx.x; i < W * C; i += blockDim.x) {
      const int w = i / C, c = i - w * C;
      const int column = left + (mirror ? W - 1 - w : w);
      const bool exists = row_exists && column >= 0 && column < picture_columns;
      const float pixel = exists ? static_cast<float>(images[(picture_row + column) * C + c]) : 0.0f;
      y[(first_pixel + w) * y_pitch + c] = from_float<STORED>(pixel * factor[c] + offset[c]);
    }
  }
}
