// Kernels that are wrong on purpose, one bug each. "// FINDS: text" marks the line at which the check build must report
// that text; a kernel without the mark is right and must be reported nowhere. All take the same arguments and run as
// two blocks of 64 threads over arrays of 128 elements, with 256 bytes of dynamic shared memory.

#include "primitives.cuh"

#define MY_ELEMENT (blockIdx.x * blockDim.x + threadIdx.x)

namespace {

__device__ __forceinline__ float neighbour(const float* x, int i) { return x[i + 1]; }

}  // namespace

extern "C" __global__ void divergent_barriers(const float* x, float* y) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();  // FINDS: divergent __syncthreads
  }
  y[MY_ELEMENT] = x[MY_ELEMENT];
}

extern "C" __global__ void threads_leave_before_barrier(const float* x, float* y) {
  if (threadIdx.x >= 40) return;
  __syncthreads();  // FINDS: not all threads reach __syncthreads
  y[MY_ELEMENT] = x[MY_ELEMENT];
}

extern "C" __global__ void shared_read_before_any_write(const float* x, float* y) {
  __shared__ float values[64];
  if (threadIdx.x < 32) values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x];  // FINDS: read of shared memory that nobody wrote
}

extern "C" __global__ void index_beyond_inner_row(const float* x, float* y) {
  __shared__ float values[4][64];
  const int column = threadIdx.x + 1;
  values[0][column] = x[MY_ELEMENT];  // FINDS: index outside its array
  __syncthreads();
  y[MY_ELEMENT] = values[0][column];
}

extern "C" __global__ void beyond_dynamic_shared_memory(const float* x, float* y) {
  DYNAMIC_SHARED(bytes);
  float* values = reinterpret_cast<float*>(bytes);
  values[threadIdx.x + 1] = x[MY_ELEMENT];  // FINDS: write out of bounds
  __syncthreads();
  y[MY_ELEMENT] = values[threadIdx.x + 1];
}

extern "C" __global__ void no_barrier_before_read(const float* x, float* y) {
  __shared__ float values[64];
  values[threadIdx.x] = x[MY_ELEMENT];
  y[MY_ELEMENT] = values[threadIdx.x ^ 32];  // FINDS: race in shared memory, read after write
}

extern "C" __global__ void no_barrier_before_next_write(const float* x, float* y) {
  __shared__ float value;
  float sum = 0.0f;
  for (int i = 0; i < 2; ++i) {
    if (threadIdx.x == 0) value = x[i];  // FINDS: race in shared memory
    __syncthreads();
    sum += value;
  }
  y[MY_ELEMENT] = sum;
}

extern "C" __global__ void all_threads_write_one_place(const float* x, float* y) {
  __shared__ float value;
  value = x[threadIdx.x];  // FINDS: race in shared memory, write after write
  __syncthreads();
  y[MY_ELEMENT] = value;
}

extern "C" __global__ void no_warp_barrier(const float* x, float* y) {
  __shared__ float values[64];
  values[threadIdx.x] = x[MY_ELEMENT];
  y[MY_ELEMENT] = values[threadIdx.x ^ 1];  // FINDS: race in shared memory, read after write
}

extern "C" __global__ void warp_barrier(const float* x, float* y) {
  __shared__ float values[64];
  values[threadIdx.x] = x[MY_ELEMENT];
  __syncwarp();
  y[MY_ELEMENT] = values[threadIdx.x ^ 1];
}

extern "C" __global__ void warp_barrier_between_warps(const float* x, float* y) {
  __shared__ float values[64];
  values[threadIdx.x] = x[MY_ELEMENT];
  __syncwarp();
  y[MY_ELEMENT] = values[threadIdx.x ^ 32];  // FINDS: race in shared memory, read after write
}

extern "C" __global__ void atomic_beside_plain_read(const float* x, float* y) {
  __shared__ float sum;
  if (threadIdx.x == 0) sum = 0.0f;
  __syncthreads();
  atomicAdd(&sum, x[MY_ELEMENT]);
  y[MY_ELEMENT] = sum;  // FINDS: race in shared memory
}

extern "C" __global__ void atomics_and_barrier(const float* x, float* y) {
  __shared__ float sum;
  if (threadIdx.x == 0) sum = 0.0f;
  __syncthreads();
  atomicAdd(&sum, x[MY_ELEMENT]);
  __syncthreads();
  y[MY_ELEMENT] = sum;
}

extern "C" __global__ void half_a_warp_shuffles(const float* x, float* y) {
  float value = x[MY_ELEMENT];
  if (threadIdx.x % 32 < 16) value = __shfl_xor_sync(0xffffffffu, value, 1);  // FINDS: not all lanes reach __shfl_xor_sync
  y[MY_ELEMENT] = value;
}

extern "C" __global__ void lane_outside_its_mask(const float* x, float* y) {
  const int votes = __popc(__ballot_sync(0xffffu, 1));  // FINDS: by a lane that its mask leaves out
  y[MY_ELEMENT] = x[MY_ELEMENT] + votes;
}

extern "C" __global__ void shuffle_from_idle_lane(const float* x, float* y) {
  float value = x[MY_ELEMENT];
  if (threadIdx.x % 32 < 16) value = __shfl_xor_sync(0xffffu, value, 16);  // FINDS: reads a lane that takes no part
  y[MY_ELEMENT] = value;
}

extern "C" __global__ void two_threads_write_one_element(const float* x, float* y) {
  y[MY_ELEMENT / 2] = x[MY_ELEMENT];  // FINDS: two threads write the same element of 'y'
}

extern "C" __global__ void output_written_twice(const float* x, OUTPUT float* y) {
  y[MY_ELEMENT] = 0.0f;
  __syncthreads();
  y[MY_ELEMENT] = x[MY_ELEMENT];  // FINDS: an element of the output 'y' is written twice
}

extern "C" __global__ void output_read_first(const float* x, OUTPUT float* y) {
  y[MY_ELEMENT] = x[MY_ELEMENT] + y[MY_ELEMENT];  // FINDS: read of the output 'y' before it is written
}

extern "C" __global__ void reads_what_another_block_writes(const float* x, float* y) {
  y[MY_ELEMENT] = x[MY_ELEMENT];
  if (blockIdx.x == 1) y[MY_ELEMENT] += y[threadIdx.x];  // FINDS: read of an element of 'y' that another block writes
}

extern "C" __global__ void misaligned_vector(const float* x, float* y) {
  const float4 four = *reinterpret_cast<const float4*>(x + 1);  // FINDS: misaligned read of 'x'
  y[MY_ELEMENT] = four.x;
}

extern "C" __global__ void writes_const_argument(const float* x, float* y) {
  const_cast<float*>(x)[MY_ELEMENT] = 1.0f;  // FINDS: write to the const argument 'x'
  y[MY_ELEMENT] = x[MY_ELEMENT];
}

extern "C" __global__ void reads_past_the_end(const float* x, float* y) {
  y[MY_ELEMENT] = x[MY_ELEMENT + 1];  // FINDS: read out of bounds (4 bytes 0 bytes past the end of 'x'
}

extern "C" __global__ void vector_reads_past_the_end(const float* x, float* y) {
  const float2 two = *reinterpret_cast<const float2*>(x + 126 + MY_ELEMENT % 2 * 2);  // FINDS: read out of bounds
  y[MY_ELEMENT] = two.y;
}

extern "C" __global__ void writes_before_the_start(const float* x, float* y) {
  y[static_cast<int>(MY_ELEMENT) - 1] = x[MY_ELEMENT];  // FINDS: write out of bounds (4 bytes 4 bytes before 'y'
}

extern "C" __global__ void follows_null_pointer(const float* x, float* y) {
  const float* nothing = blockIdx.x > 5 ? x : nullptr;
  y[MY_ELEMENT] = nothing[threadIdx.x];  // FINDS: read out of bounds
}

extern "C" __global__ void touches_another_threads_local(const float* x, float* y) {
  __shared__ float* pointer;
  float local = x[MY_ELEMENT];
  if (threadIdx.x == 0) pointer = &local;
  __syncthreads();
  y[MY_ELEMENT] = *pointer;  // FINDS: read of another thread's local variable
  __syncthreads();
  if (local < -1e30f) pointer = nullptr;
}

extern "C" __global__ void broken_assertion(const float* x, float* y) {
  assert(threadIdx.x < 63);  // FINDS: assert(threadIdx.x < 63) failed
  y[MY_ELEMENT] = x[MY_ELEMENT];
}

extern "C" __global__ void reads_past_the_end_in_a_function(const float* x, float* y) {
  y[MY_ELEMENT] = neighbour(x, MY_ELEMENT);  // FINDS: read out of bounds
}
