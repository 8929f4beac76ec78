// A matrix product as tensor-core kernels are built: copies that run two stages ahead, swizzled rows in shared memory,
// matrix loads, products. test_pipelined_product.py runs it whole, and with each part that orders it taken out.
//
//   d[m,n] = sum over k of a[m,k] * b[n,k]
//
// Layout: a is M,K, b is N,K and d is M,N, row by row; M and N are multiples of the tiles below, K of 8.
// Grid: x runs over tiles of 32 rows, y over tiles of 16 columns; 64 threads, each warp 16 rows.
// Shared memory: three stages of 32 + 16 rows of 64 bytes, 9216 bytes.

#include "primitives_tensor.cuh"

namespace {

constexpr int STAGES = 3;
constexpr int TILE_ROWS = 32;
constexpr int TILE_COLUMNS = 16;
constexpr int DEPTH = 32;  // of a stage
constexpr int THREADS = 64;
constexpr int WARP_ROWS = 16;
constexpr int PIECE = 8;  // elements of 16 bytes
constexpr int PIECES = DEPTH / PIECE;
using Product = TensorCore<bfloat16>;

struct Stage {
  bfloat16 a[TILE_ROWS][DEPTH];
  bfloat16 b[TILE_COLUMNS][DEPTH];
};

// Where a piece of a row lies: the eight rows of a matrix load then fall into different banks.
__device__ __forceinline__ int place(int row, int piece) { return (piece ^ row / 2 % PIECES) * PIECE; }

template <int ROWS>
__device__ __forceinline__ void copy_tile(bfloat16 (&tile)[ROWS][DEPTH], const bfloat16* rows, int first_k, int K) {
  for (int i = threadIdx.x; i < ROWS * PIECES; i += THREADS) {
    const int row = i / PIECES, piece = i % PIECES, k = first_k + piece * PIECE;
    copy_async<16>(&tile[row][place(row, piece)], rows + row * K + k, k < K);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(THREADS)
    multiply(OUTPUT float* d, const bfloat16* a, const bfloat16* b, int K, int N) {
  __shared__ __align__(128) Stage stages[STAGES];
  const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * WARP_ROWS;
  const bfloat16* rows_a = a + blockIdx.x * TILE_ROWS * K;
  const bfloat16* rows_b = b + blockIdx.y * TILE_COLUMNS * K;
  const auto start = [&](int step) {
    Stage& stage = stages[step % STAGES];
    copy_tile(stage.a, rows_a, step * DEPTH, K);
    copy_tile(stage.b, rows_b, step * DEPTH, K);
    copy_async_commit();
  };
  float sum[TILE_COLUMNS / 8][4] = {};
  for (int step = 0; step < STAGES - 1; ++step) start(step);
  for (int step = 0; step * DEPTH < K; ++step) {
    copy_async_wait<STAGES - 2>();
    __syncthreads();
    start(step + STAGES - 1);
    const Stage& stage = stages[step % STAGES];
    for (int k = 0; k < DEPTH / Product::DEPTH; ++k) {
      const int row_a = warp_row + lane % 16, row_b = lane % 8 + lane / 16 * 8;
      unsigned registers_a[4], registers_b[4];
      load_matrix_x4(registers_a, &stage.a[row_a][place(row_a, k * 2 + lane / 16)]);
      load_matrix_x4(registers_b, &stage.b[row_b][place(row_b, k * 2 + lane / 8 % 2)]);
      Product::multiply(sum[0], registers_a, {registers_b[0], registers_b[1]});
      Product::multiply(sum[1], registers_a, {registers_b[2], registers_b[3]});
    }
  }
  copy_async_wait<0>();
  for (int j = 0; j < TILE_COLUMNS / 8; ++j)
    for (int i = 0; i < 4; ++i) {
      const int row = blockIdx.x * TILE_ROWS + warp_row + lane / 4 + i / 2 * 8;
      d[row * N + blockIdx.y * TILE_COLUMNS + j * 8 + lane % 4 * 2 + i % 2] = sum[j][i];
    }
}
