// Asynchronous copies, matrix loads and tensor-core products, wrong on purpose as in seeded_bugs.cu: the same marks,
// the same arguments, the same grid.

#include "primitives_tensor.cuh"

#define MY_ELEMENT (blockIdx.x * blockDim.x + threadIdx.x)

namespace {

constexpr int ROWS = 8;
constexpr int ROW_WORDS = 4;

// Fills this thread's word of a matrix of 8 rows of 16 bytes.
__device__ void fill(unsigned (&rows)[ROWS][ROW_WORDS], const float* x) {
  rows[threadIdx.x % 32 / ROW_WORDS][threadIdx.x % ROW_WORDS] = static_cast<unsigned>(x[threadIdx.x]);
}

}  // namespace

extern "C" __global__ void copies_and_reads(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x ^ 32];
}

extern "C" __global__ void copies_and_reads_its_own(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x];
}

extern "C" __global__ void no_copy_wait(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x];  // FINDS: read of a copy that was not waited for
}

extern "C" __global__ void copy_without_a_group(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_wait<0>();
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x];  // FINDS: read of a copy that was not waited for
}

extern "C" __global__ void half_the_threads_wait(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  if (threadIdx.x < 32) copy_async_wait<0>();
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x ^ 32];  // FINDS: read of a copy that was not waited for
  copy_async_wait<0>();
}

extern "C" __global__ void no_barrier_after_copy_wait(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x ^ 32];  // FINDS: race in shared memory, read after write
}

extern "C" __global__ void barrier_before_copy_wait(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  __syncthreads();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x ^ 1];  // FINDS: race in shared memory, read after write
}

extern "C" __global__ void two_stages(const float* x, float* y) {
  __shared__ float values[2][64];
  for (int i = 0; i < 2; ++i) {
    copy_async<4>(&values[i][threadIdx.x], &x[MY_ELEMENT], true);
    copy_async_commit();
  }
  copy_async_wait<1>();
  float sum = values[0][threadIdx.x];
  copy_async_wait<0>();
  sum += values[1][threadIdx.x];
  y[MY_ELEMENT] = sum;
}

extern "C" __global__ void waits_for_one_group_too_few(const float* x, float* y) {
  __shared__ float values[2][64];
  for (int i = 0; i < 2; ++i) {
    copy_async<4>(&values[i][threadIdx.x], &x[MY_ELEMENT], true);
    copy_async_commit();
  }
  copy_async_wait<1>();
  const float first = values[0][threadIdx.x];
  const float second = values[1][threadIdx.x];  // FINDS: read of a copy that was not waited for
  y[MY_ELEMENT] = first + second;
  copy_async_wait<0>();
}

extern "C" __global__ void leaves_with_a_copy_under_way(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);  // FINDS: a copy that nobody waits for
  copy_async_commit();
  y[MY_ELEMENT] = x[MY_ELEMENT];
}

extern "C" __global__ void overwrites_a_copy(const float* x, float* y) {
  __shared__ float values[64];
  copy_async<4>(&values[threadIdx.x], &x[MY_ELEMENT], true);
  copy_async_commit();
  values[threadIdx.x] = 0.0f;  // FINDS: overwriting of a copy that was not waited for
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x];
}

extern "C" __global__ void two_threads_copy_to_one_place(const float* x, float* y) {
  __shared__ float values[32];
  copy_async<4>(&values[threadIdx.x % 32], &x[MY_ELEMENT], true);  // FINDS: race in shared memory, write after write
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x % 32];
}

extern "C" __global__ void next_copy_overtakes_readers(const float* x, float* y) {
  __shared__ float value;
  float sum = 0.0f;
  for (int i = 0; i < 2; ++i) {
    if (threadIdx.x == 0) copy_async<4>(&value, &x[i], true);  // FINDS: race in shared memory
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    sum += value;
  }
  y[MY_ELEMENT] = sum;
}

extern "C" __global__ void misaligned_source(const float* x, float* y) {
  __shared__ __align__(16) float values[64][4];
  copy_async<16>(values[threadIdx.x], &x[1], true);  // FINDS: misaligned read of 'x'
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x][0];
}

extern "C" __global__ void misaligned_destination(const float* x, float* y) {
  __shared__ __align__(16) float values[64][3];
  copy_async<8>(values[threadIdx.x], &x[threadIdx.x * 2], true);  // FINDS: misaligned write of shared memory
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x][0];
}

extern "C" __global__ void copies_past_the_end(const float* x, float* y) {
  __shared__ __align__(16) float values[64][4];
  copy_async<16>(values[threadIdx.x], &x[threadIdx.x * 4], true);  // FINDS: asynchronous copy reads out of bounds
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x][0];
}

extern "C" __global__ void zeros_past_the_end(const float* x, float* y) {
  __shared__ __align__(16) float values[64][4];
  copy_async<16>(values[threadIdx.x], &x[threadIdx.x * 4], threadIdx.x < 32);
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = values[threadIdx.x][0];
}

extern "C" __global__ void copies_beyond_shared_memory(const float* x, float* y) {
  DYNAMIC_SHARED(bytes);
  copy_async<16>(bytes + threadIdx.x * 16, x, true);  // FINDS: asynchronous copy to an address outside shared memory
  copy_async_commit();
  copy_async_wait<0>();
  y[MY_ELEMENT] = bytes[threadIdx.x * 16];
}

extern "C" __global__ void loads_a_matrix(const float* x, float* y) {
  __shared__ __align__(16) unsigned rows[2][ROWS][ROW_WORDS];
  const int warp = threadIdx.x / 32;
  fill(rows[warp], x);
  __syncwarp();
  unsigned loaded[2];
  load_matrix_x2(loaded, rows[warp][threadIdx.x % ROWS]);
  y[MY_ELEMENT] = loaded[0];
}

extern "C" __global__ void no_warp_barrier_before_matrix_load(const float* x, float* y) {
  __shared__ __align__(16) unsigned rows[2][ROWS][ROW_WORDS];
  const int warp = threadIdx.x / 32;
  fill(rows[warp], x);
  unsigned loaded[2];
  load_matrix_x2_transposed(loaded, rows[warp][threadIdx.x % ROWS]);  // FINDS: race in shared memory, read after write
  y[MY_ELEMENT] = loaded[0];
}

extern "C" __global__ void loads_a_row_that_nobody_wrote(const float* x, float* y) {
  __shared__ __align__(16) unsigned rows[2][ROWS + 1][ROW_WORDS];
  const int warp = threadIdx.x / 32;
  for (int i = 0; i < ROW_WORDS; ++i) rows[warp][threadIdx.x % ROWS][i] = static_cast<unsigned>(x[i]);
  __syncthreads();
  unsigned loaded[4];
  load_matrix_x4(loaded, rows[warp][threadIdx.x % 32 == 31 ? ROWS : 0]);  // FINDS: read of shared memory that nobody wrote
  y[MY_ELEMENT] = loaded[0];
}

extern "C" __global__ void misaligned_matrix_row(const float* x, float* y) {
  __shared__ __align__(16) unsigned rows[2][ROWS][ROW_WORDS];
  const int warp = threadIdx.x / 32;
  fill(rows[warp], x);
  __syncthreads();
  unsigned loaded[2];
  load_matrix_x2(loaded, &rows[0][threadIdx.x % ROWS][1]);  // FINDS: a row of load_matrix is not aligned to 16 bytes
  y[MY_ELEMENT] = loaded[0];
}

extern "C" __global__ void matrix_row_in_global_memory(const float* x, float* y) {
  unsigned loaded[4];
  load_matrix_x4_transposed(loaded, x);  // FINDS: load_matrix_transposed reads outside shared memory
  y[MY_ELEMENT] = loaded[0];
}

extern "C" __global__ void overwrites_what_another_warp_loads(const float* x, float* y) {
  __shared__ __align__(16) unsigned rows[ROWS][ROW_WORDS];
  if (threadIdx.x < 32) fill(rows, x);
  __syncthreads();
  unsigned loaded[2];
  load_matrix_x2(loaded, rows[threadIdx.x % ROWS]);  // FINDS: race in shared memory
  if (threadIdx.x >= 32) fill(rows, x);
  y[MY_ELEMENT] = loaded[0];
}

extern "C" __global__ void overwrites_what_its_own_warp_loads(const float* x, float* y) {
  __shared__ __align__(16) unsigned rows[2][ROWS][ROW_WORDS];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  fill(rows[warp], x);
  __syncwarp();
  unsigned loaded[2];
  load_matrix_x2(loaded, rows[warp][lane % ROWS]);
  rows[warp][lane % ROWS][lane / ROWS] = loaded[0];  // FINDS: race in shared memory, write after read
  y[MY_ELEMENT] = loaded[1];
}

extern "C" __global__ void one_lane_does_not_multiply(const float* x, float* y) {
  float sum[4] = {};
  const unsigned a[4] = {}, b[2] = {};
  if (threadIdx.x % 32 != 5) TensorCore<bfloat16>::multiply(sum, a, b);  // FINDS: not all lanes reach TensorCore<bfloat16>
  y[MY_ELEMENT] = x[MY_ELEMENT] + sum[0];
}

extern "C" __global__ void one_lane_waits_elsewhere(const float* x, float* y) {
  float sum[4] = {};
  const unsigned a[4] = {}, b[2] = {};
  if (threadIdx.x % 32 != 0) TensorCore<float>::multiply(sum, a, b);  // FINDS: not all lanes reach TensorCore<float>
  __syncthreads();
  y[MY_ELEMENT] = x[MY_ELEMENT] + sum[0];
}

extern "C" __global__ void lanes_multiply_different_types(const float* x, float* y) {
  float sum[4] = {};
  const unsigned a[4] = {}, b[2] = {};
  if (threadIdx.x % 32 < 16)
    TensorCore<bfloat16>::multiply(sum, a, b);
  else
    TensorCore<float16>::multiply(sum, a, b);  // FINDS: lanes of a warp meet in different operations
  y[MY_ELEMENT] = x[MY_ELEMENT] + sum[0];
}

extern "C" __global__ void cached_load_past_the_end(const float* x, float* y) {
  y[MY_ELEMENT] = __ldg(&x[MY_ELEMENT + 1]);  // FINDS: read out of bounds
}
