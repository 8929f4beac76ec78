// Every primitive of primitives_tensor.cuh and every conversion of primitives.cuh, once: what they compute is known to
// the bit, so that a wrong operand shows. gpunn/backend/cuda/self_test.py holds the right answers. No network uses
// these kernels.
//
// Architectures: sm_80 and later
// ELEMENT: bfloat16 | float16 | float
//
// Layout: matrices row by row, dense. Grid: one block; multiply* and load_matrices take one warp.
// Shared memory: one small array a kernel, its size beside it.

#include "primitives_tensor.cuh"

namespace {

using Product = TensorCore<ELEMENT>;

constexpr int ROWS = 16;
constexpr int COLUMNS = 8;
constexpr int PER_REGISTER = sizeof(unsigned) / sizeof(ELEMENT);
constexpr int ROW_WORDS = 4;  // of a matrix that load_matrix takes: 16 bytes a row
constexpr int MATRIX_ROWS = 8;
constexpr int MATRICES = 4;
constexpr int COPY_THREADS = 64;
constexpr int COPY_WORDS = 4;  // each thread copies 16 bytes in every size
constexpr unsigned UNTOUCHED = 0xffffffffu;

static_assert(Product::DEPTH == 8 * PER_REGISTER, "a warp holds A in four registers a lane");

__device__ unsigned bits_of(bfloat16 value) { return value.bits; }
__device__ unsigned bits_of(float16 value) { return value.bits; }
__device__ unsigned bits_of(float value) { return round_to_tf32(value); }

// The register that holds `PER_REGISTER` elements, `distance` apart.
__device__ unsigned pack(const ELEMENT* first, int distance) {
  unsigned packed = 0;
  for (int i = 0; i < PER_REGISTER; ++i) packed |= bits_of(first[i * distance]) << (16 * i);
  return packed;
}

__device__ void load_sum(float (&sum)[4], const float* d, int lane) {
  for (int i = 0; i < 4; ++i) sum[i] = d[(lane / 4 + i / 2 * 8) * COLUMNS + lane % 4 * 2 + i % 2];
}

__device__ void store_sum(float* d, const float (&sum)[4], int lane) {
  for (int i = 0; i < 4; ++i) d[(lane / 4 + i / 2 * 8) * COLUMNS + lane % 4 * 2 + i % 2] = sum[i];
}

}  // namespace

// d = c + a b, with operands that come from global memory register by register.
extern "C" __global__ void multiply(OUTPUT float* d, const float* c, const ELEMENT* a, const ELEMENT* b) {
  const int lane = threadIdx.x, row = lane / 4, column = lane % 4 * PER_REGISTER;
  unsigned registers_a[4], registers_b[2];
  for (int i = 0; i < 4; ++i)
    registers_a[i] = pack(&a[(row + i % 2 * 8) * Product::DEPTH + column + i / 2 * 4 * PER_REGISTER], 1);
  for (int i = 0; i < 2; ++i) registers_b[i] = pack(&b[(column + i * 4 * PER_REGISTER) * COLUMNS + row], COLUMNS);
  float sum[4];
  load_sum(sum, c, lane);
  Product::multiply(sum, registers_a, registers_b);
  store_sum(d, sum, lane);
}

// d = a b with both operands from shared memory: b from its transposed rows, and for 16-bit types once more from its
// own rows. No element of a or b may need rounding to TF32.
extern "C" __global__ void multiply_from_shared(OUTPUT float* d_by_transposed, OUTPUT float* d_by_rows,
                                                const ELEMENT* a, const ELEMENT* b, const ELEMENT* b_transposed) {
  __shared__ __align__(16) ELEMENT rows_a[ROWS][Product::DEPTH];
  __shared__ __align__(16) ELEMENT rows_b[Product::DEPTH][COLUMNS];
  __shared__ __align__(16) ELEMENT rows_b_transposed[COLUMNS][Product::DEPTH];
  const int lane = threadIdx.x;
  for (int i = lane; i < ROWS * Product::DEPTH; i += warpSize) rows_a[i / Product::DEPTH][i % Product::DEPTH] = a[i];
  for (int i = lane; i < COLUMNS * Product::DEPTH; i += warpSize) {
    rows_b[i / COLUMNS][i % COLUMNS] = b[i];
    rows_b_transposed[i / Product::DEPTH][i % Product::DEPTH] = b_transposed[i];
  }
  __syncwarp();
  unsigned registers_a[4], registers_b[2];
  load_matrix_x4(registers_a, &rows_a[lane % ROWS][lane / ROWS * (Product::DEPTH / 2)]);
  load_matrix_x2(registers_b, &rows_b_transposed[lane % 8][lane / 8 % 2 * (Product::DEPTH / 2)]);
  float sum[4] = {};
  Product::multiply(sum, registers_a, registers_b);
  store_sum(d_by_transposed, sum, lane);
  if constexpr (PER_REGISTER == 2) {
    load_matrix_x2_transposed(registers_b, &rows_b[lane % 16][0]);
    for (int i = 0; i < 4; ++i) sum[i] = 0.0f;
    Product::multiply(sum, registers_a, registers_b);
  }
  store_sum(d_by_rows, sum, lane);
}

// What each lane gets of four matrices of 8 x 8 16-bit elements, when it names the row `row_of_lane` of all 32.
extern "C" __global__ void load_matrices(const unsigned* matrices, const int* row_of_lane, OUTPUT unsigned* x4,
                                         OUTPUT unsigned* x4_transposed, OUTPUT unsigned* x2,
                                         OUTPUT unsigned* x2_transposed) {
  __shared__ __align__(16) unsigned rows[MATRICES * MATRIX_ROWS][ROW_WORDS];
  const int lane = threadIdx.x;
  for (int i = 0; i < ROW_WORDS; ++i) rows[lane][i] = matrices[lane * ROW_WORDS + i];
  __syncwarp();
  const unsigned* mine = rows[row_of_lane[lane]];
  unsigned four[4], two[2];
  load_matrix_x4(four, mine);
  for (int i = 0; i < 4; ++i) x4[lane * 4 + i] = four[i];
  load_matrix_x4_transposed(four, mine);
  for (int i = 0; i < 4; ++i) x4_transposed[lane * 4 + i] = four[i];
  load_matrix_x2(two, mine);
  for (int i = 0; i < 2; ++i) x2[lane * 2 + i] = two[i];
  load_matrix_x2_transposed(two, mine);
  for (int i = 0; i < 2; ++i) x2_transposed[lane * 2 + i] = two[i];
}

// The same 16 bytes a thread, copied in pieces of three sizes, one group each; a piece that does not exist is zeros.
// The first two are read by the thread itself as soon as their group has ended, the last one by its mirror image.
extern "C" __global__ void __launch_bounds__(COPY_THREADS)
    copy_asynchronously(const unsigned* x, const int* exists, OUTPUT unsigned* by_4, OUTPUT unsigned* by_8,
                        OUTPUT unsigned* by_16) {
  __shared__ __align__(16) unsigned words[3][COPY_THREADS][COPY_WORDS];
  const int thread = threadIdx.x, mirrored = COPY_THREADS - 1 - threadIdx.x;
  const unsigned* source = &x[thread * COPY_WORDS];
  const int* piece_exists = &exists[thread * COPY_WORDS];
  for (int size = 0; size < 3; ++size)
    for (int i = 0; i < COPY_WORDS; ++i) words[size][thread][i] = UNTOUCHED;
  for (int i = 0; i < 4; ++i) copy_async<4>(&words[0][thread][i], source + i, piece_exists[i]);
  copy_async_commit();
  for (int i = 0; i < 4; i += 2) copy_async<8>(&words[1][thread][i], source + i, piece_exists[i]);
  copy_async_commit();
  copy_async<16>(&words[2][thread][0], source, piece_exists[0]);
  copy_async_commit();
  copy_async_wait<2>();
  for (int i = 0; i < COPY_WORDS; ++i) by_4[thread * COPY_WORDS + i] = words[0][thread][i];
  copy_async_wait<1>();
  for (int i = 0; i < COPY_WORDS; ++i) by_8[thread * COPY_WORDS + i] = words[1][thread][i];
  copy_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < COPY_WORDS; ++i) by_16[mirrored * COPY_WORDS + i] = words[2][mirrored][i];
}

extern "C" __global__ void round_all_to_tf32(OUTPUT unsigned* tf32, const float* x, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) tf32[i] = round_to_tf32(x[i]);
}

extern "C" __global__ void widen(OUTPUT float* y, const ELEMENT* x, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = to_float(x[i]);
}

extern "C" __global__ void narrow(OUTPUT ELEMENT* y, const float* x, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = from_float<ELEMENT>(x[i]);
}
