// Two-dimensional convolution (cross-correlation), forward, float32, with bias and ReLU.
//
//   y[n,p,q,k] = f(bias[k] + sum over r,s,c of
//                  x[n, p * stride_rows + r * dilation_rows - padding_top,
//                       q * stride_columns + s * dilation_columns - padding_left, c] * w[r,s,c,k])
//
// Pixels outside the image count as 0. With G groups, filter k sees only the C/G channels of its own group.
//
// Method: implicit GEMM (Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014). For each group this is
// the product of a matrix of patches (N*P*Q output pixels x R*S*C/G taps), which is never stored, and the filters
// (R*S*C/G taps x K/G), which lie in memory as that matrix. Blocked twice, through shared memory and registers
// (Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", 2008).
//
// Layout: x is N,H,W,C and y is N,P,Q,K, with a pitch: the distance from one pixel to the next, at least the channels.
// w is R,S,C/G,K without gaps. bias is null or K numbers.
// Grid: x runs over tiles of 64 output pixels, y over tiles of 64 filters of a group, z over groups; 256 threads.
// Each thread computes 4 pixels x 4 filters, neighbours in both directions.
// Shared memory: one slice of 16 taps of both matrices, taps first: 16 x 68 + 16 x 64 floats, 8448 bytes.
//
// Architectures: sm_75 and later

#include "primitives.cuh"

namespace {

constexpr int TILE_PIXELS = 64;
constexpr int TILE_FILTERS = 64;
constexpr int TILE_TAPS = 16;
constexpr int THREAD_PIXELS = 4;
constexpr int THREAD_FILTERS = 4;
constexpr int BLOCK_COLUMNS = TILE_FILTERS / THREAD_FILTERS;  // threads side by side in a row of the output tile
constexpr int BLOCK_THREADS = BLOCK_COLUMNS * (TILE_PIXELS / THREAD_PIXELS);
// The patches are stored column by column; four floats more than a row holds keep the rows aligned for float4 reads
// and let the 16 stores of neighbouring taps fall into 8 memory banks instead of one.
constexpr int PATCH_ROW = TILE_PIXELS + 4;
// Neighbouring threads load neighbouring taps, which are neighbouring channels in memory.
constexpr int PATCHES_PER_PASS = BLOCK_THREADS / TILE_TAPS;
constexpr int PATCH_LOADS = TILE_PIXELS / PATCHES_PER_PASS;
constexpr int TAPS_PER_PASS = BLOCK_THREADS / TILE_FILTERS;
constexpr int FILTER_LOADS = TILE_TAPS / TAPS_PER_PASS;
static_assert(THREAD_PIXELS == 4 && THREAD_FILTERS == 4, "a thread reads its row and column as one float4 each");

// The upper left input pixel of a patch; rows and columns may lie outside the image.
struct PatchCorner {
  int image_start;  // index of the image's first pixel, in pixels
  int row, column;
};

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    convolution2d_forward(OUTPUT float* __restrict__ y, int y_pitch, const float* __restrict__ x, int x_pitch,
                                  const float* __restrict__ w, OPTIONAL const float* __restrict__ bias, int N, int H,
                                  int W, int C, int K, int R, int S, int P, int Q, int groups, int stride_rows,
                                  int stride_columns, int padding_top, int padding_left, int dilation_rows,
                                  int dilation_columns, int apply_relu) {
  __shared__ __align__(16) float patches[TILE_TAPS][PATCH_ROW];
  __shared__ __align__(16) float filters[TILE_TAPS][TILE_FILTERS];

  const int group_channels = C / groups, group_filters = K / groups;
  const int taps = R * S * group_channels;
  const int first_channel = blockIdx.z * group_channels;
  const int first_filter = blockIdx.y * TILE_FILTERS;  // within the group
  const int first_pixel = blockIdx.x * TILE_PIXELS;
  // Counting what is left, not what is passed, cannot overflow at the last tile.
  const int pixels_left = N * P * Q - first_pixel;
  const int filters_left = group_filters - first_filter;

  const int load_tap = threadIdx.x % TILE_TAPS;
  PatchCorner corner[PATCH_LOADS];
#pragma unroll
  for (int i = 0; i < PATCH_LOADS; ++i) {
    const int local = threadIdx.x / TILE_TAPS + i * PATCHES_PER_PASS;
    const int pixel = local < pixels_left ? first_pixel + local : first_pixel;
    const int n = pixel / (P * Q), p = pixel / Q % P, q = pixel % Q;
    corner[i].image_start = n * H * W;
    corner[i].row = p * stride_rows - padding_top;
    corner[i].column = q * stride_columns - padding_left;
  }
  const int load_filter = threadIdx.x % TILE_FILTERS;
  const bool filter_exists = load_filter < filters_left;
  const float* filter_column = w + blockIdx.z * group_filters + first_filter + load_filter;

  const int thread_pixel = threadIdx.x / BLOCK_COLUMNS * THREAD_PIXELS;
  const int thread_filter = threadIdx.x % BLOCK_COLUMNS * THREAD_FILTERS;
  float sum[THREAD_PIXELS][THREAD_FILTERS] = {};

  for (int first_tap = 0; first_tap < taps; first_tap += TILE_TAPS) {
    const int tap = first_tap + load_tap;
    const int r = tap / (S * group_channels), s = tap / group_channels % S, c = tap % group_channels;
#pragma unroll
    for (int i = 0; i < PATCH_LOADS; ++i) {
      const int local = threadIdx.x / TILE_TAPS + i * PATCHES_PER_PASS;
      const int row = corner[i].row + r * dilation_rows, column = corner[i].column + s * dilation_columns;
      const bool inside = row >= 0 && row < H && column >= 0 && column < W;
      float value = 0.0f;
      if (tap < taps && inside && local < pixels_left) {
        const int input_pixel = corner[i].image_start + row * W + column;
        value = x[static_cast<long long>(input_pixel) * x_pitch + first_channel + c];
      }
      patches[load_tap][local] = value;
    }
#pragma unroll
    for (int i = 0; i < FILTER_LOADS; ++i) {
      const int local = threadIdx.x / TILE_FILTERS + i * TAPS_PER_PASS;
      const bool exists = filter_exists && first_tap + local < taps;
      filters[local][load_filter] = exists ? filter_column[static_cast<long long>(first_tap + local) * K] : 0.0f;
    }
    __syncthreads();

#pragma unroll
    for (int t = 0; t < TILE_TAPS; ++t) {
      const float4 a = *reinterpret_cast<const float4*>(&patches[t][thread_pixel]);
      const float4 b = *reinterpret_cast<const float4*>(&filters[t][thread_filter]);
      const float pixel_values[THREAD_PIXELS] = {a.x, a.y, a.z, a.w};
      const float filter_values[THREAD_FILTERS] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < THREAD_PIXELS; ++i) {
#pragma unroll
        for (int j = 0; j < THREAD_FILTERS; ++j) sum[i][j] = fmaf(pixel_values[i], filter_values[j], sum[i][j]);
      }
    }
    __syncthreads();  // the next slice overwrites what slower warps still read
  }

#pragma unroll
  for (int i = 0; i < THREAD_PIXELS; ++i) {
    if (thread_pixel + i >= pixels_left) break;
    const long long pixel = first_pixel + thread_pixel + i;
#pragma unroll
    for (int j = 0; j < THREAD_FILTERS; ++j) {
      if (thread_filter + j >= filters_left) break;
      const int k = blockIdx.z * group_filters + first_filter + thread_filter + j;
      const float value = sum[i][j] + (bias ? bias[k] : 0.0f);
      y[pixel * y_pitch + k] = apply_relu ? relu(value) : value;
    }
  }
}
