// Kernels whose memory traffic is known. "// TRAFFIC: name" marks the line that test_profile.py asks about. All run as
// one block of 32 threads.

#include "primitives_tensor.cuh"

extern "C" __global__ void strided_copy(OUTPUT float* y, const float* x, int stride, int first) {
  const float value = x[first + threadIdx.x * stride];  // TRAFFIC: global read
  y[threadIdx.x] = value;                               // TRAFFIC: global write
}

extern "C" __global__ void vector_copy(OUTPUT float* y, const float* x) {
  reinterpret_cast<float4*>(y)[threadIdx.x] = reinterpret_cast<const float4*>(x)[threadIdx.x];
}

extern "C" __global__ void shared_words(OUTPUT float* y, const float* x, int stride) {
  __shared__ float values[32 * 33];
  for (int i = threadIdx.x; i < 32 * 33; i += 32) values[i] = x[0];
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x * stride];  // TRAFFIC: shared words
}

extern "C" __global__ void shared_vectors(OUTPUT float* y, const float* x, int stride) {
  __shared__ float4 vectors[32 * 2];
  vectors[threadIdx.x] = vectors[threadIdx.x + 32] = make_float4(x[0], x[0], x[0], x[0]);
  __syncthreads();
  const float2* pairs = reinterpret_cast<const float2*>(vectors);
  const float2 two = pairs[threadIdx.x * stride];     // TRAFFIC: shared pairs
  const float4 four = vectors[threadIdx.x * stride];  // TRAFFIC: shared quadruples
  y[threadIdx.x] = two.x + four.w;
}

// Rows of 64 bfloat16; the piece of 16 bytes at (row, column) lies at column ^ (row % 8) with `swizzle`.
extern "C" __global__ void matrix_rows(OUTPUT unsigned* y, const float* x, int swizzle) {
  __shared__ __align__(16) uint4 rows[16][8];
  for (int row = 0; row < 16; ++row)
    if (threadIdx.x < 8) copy_async<16>(&rows[row][threadIdx.x], x + threadIdx.x * 4, true);  // TRAFFIC: copied
  copy_async_commit();
  copy_async_wait<0>();
  __syncwarp();
  const int row = threadIdx.x % 16, column = threadIdx.x / 16;
  unsigned loaded[4];
  load_matrix_x4(loaded, &rows[row][swizzle ? column ^ row % 8 : column]);  // TRAFFIC: matrices
  y[threadIdx.x] = loaded[0];
}

// Half of the lanes go around the loop once, the others twice.
extern "C" __global__ void divergent_loop(OUTPUT float* y, const float* x) {
  float sum = 0.0f;
  for (int i = 0; i <= threadIdx.x / 16; ++i) sum += x[i * 32 + threadIdx.x];  // TRAFFIC: loop
  y[threadIdx.x] = sum;
}

namespace {

__device__ __forceinline__ float load(const float* x, int i) {
  return x[i];  // TRAFFIC: in a function
}

}  // namespace

extern "C" __global__ void calls_a_function(OUTPUT float* y, const float* x) {
  const float near = load(x, threadIdx.x);      // TRAFFIC: first call
  const float far = load(x, threadIdx.x * 32);  // TRAFFIC: second call
  y[threadIdx.x] = near + far;
}
