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
// Grid: one-dimensional, any size. A block takes blockDim.y rows of y at a time; the blockDim.x lanes of a row share
// its W * C numbers, so that neighbouring threads read and write neighbouring bytes and numbers. A lane takes one
// number at a time, or with WIDE 16 bytes of neighbouring ones, for which y has no gaps.
// Shared memory: dynamic, 2 C floats, computed once a block because division in double is slow.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "primitives.cuh"
#include "vectors.cuh"

namespace {

constexpr int COUNT = CONTIGUOUS<STORED, WIDE>;

}  // namespace

extern "C" __global__ void normalize_images(OUTPUT STORED* __restrict__ y, int y_pitch,
                                            const unsigned char* __restrict__ images,
                                            const int* __restrict__ placement, const double* __restrict__ mean,
                                            const double* __restrict__ deviation, int N, int H, int W, int C,
                                            int picture_rows, int picture_columns) {
  DYNAMIC_SHARED(shared);
  float* const factor = reinterpret_cast<float*>(shared);
  float* const offset = factor + C;
  for (int c = threadIdx.y * blockDim.x + threadIdx.x; c < C; c += blockDim.x * blockDim.y) {
    factor[c] = static_cast<float>(1.0 / (255.0 * deviation[c]));
    offset[c] = static_cast<float>(-mean[c] / deviation[c]);
  }
  __syncthreads();

  for (int first = threadIdx.x * COUNT; first < W * C; first += blockDim.x * COUNT) {
    const int first_w = static_cast<unsigned>(first) / C, first_c = first - first_w * C;
    for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < N * H; row += gridDim.x * blockDim.y) {
      const int n = static_cast<unsigned>(row) / H, h = row - n * H;
      const int top = placement[3 * n], left = placement[3 * n + 1];
      const bool mirror = placement[3 * n + 2] != 0;
      const bool row_exists = top + h >= 0 && top + h < picture_rows;
      const unsigned char* const picture_row =
          images + (static_cast<long long>(n) * picture_rows + (row_exists ? top + h : 0)) * picture_columns * C;
      // As an unsigned number, a column left of the picture lies far to the right of it.
      const unsigned columns = row_exists ? picture_columns : 0;
      int c = first_c, column = left + (mirror ? W - 1 - first_w : first_w);
      Floats<COUNT> values;
#pragma unroll
      for (int i = 0; i < COUNT; ++i) {
        const float pixel =
            static_cast<unsigned>(column) < columns ? static_cast<float>(picture_row[column * C + c]) : 0.0f;
        values[i] = pixel * factor[c] + offset[c];
        if (++c == C) {
          c = 0;
          column += mirror ? -1 : 1;
        }
      }
      STORED* const row_of_y = y + static_cast<long long>(row) * W * y_pitch;
      store_floats(row_of_y + (WIDE ? first : first_w * y_pitch + first_c), values);
    }
  }
}
