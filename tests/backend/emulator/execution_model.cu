// Kernels that use CUDA's execution model as it is meant to be used; test_execution_model.py says what they compute.

#include "primitives.cuh"

extern "C" __global__ void write_own_place(OUTPUT int* place) {
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int threads = blockDim.x * blockDim.y * blockDim.z;
  int* mine = place + (block * threads + thread) * 6;
  mine[0] = blockIdx.x;
  mine[1] = blockIdx.y;
  mine[2] = blockIdx.z;
  mine[3] = threadIdx.x;
  mine[4] = threadIdx.y;
  mine[5] = threadIdx.z;
}

extern "C" __global__ void shuffle(OUTPUT int* up, OUTPUT int* down, OUTPUT int* exchanged, OUTPUT double* first,
                                   int distance, int width) {
  const int lane = threadIdx.x;
  up[lane] = __shfl_up_sync(0xffffffffu, lane, distance, width);
  down[lane] = __shfl_down_sync(0xffffffffu, lane, distance, width);
  exchanged[lane] = __shfl_xor_sync(0xffffffffu, lane, distance, width);
  first[lane] = __shfl_sync(0xffffffffu, lane + 0.5, distance, width);
}

extern "C" __global__ void vote(const int* predicate, OUTPUT unsigned* ballot, OUTPUT int* any, OUTPUT int* all,
                                OUTPUT int* count) {
  const int mine = predicate[threadIdx.x];
  ballot[threadIdx.x] = __ballot_sync(0xffffffffu, mine);
  any[threadIdx.x] = __any_sync(0xffffffffu, mine) + 10 * __syncthreads_or(mine);
  all[threadIdx.x] = __all_sync(0xffffffffu, mine) + 10 * __syncthreads_and(mine);
  count[threadIdx.x] = __syncthreads_count(mine);
}

// Each block reverses its elements through dynamic shared memory, several times over.
extern "C" __global__ void reverse(const float* x, OUTPUT float* y, int times) {
  DYNAMIC_SHARED(bytes);
  float* values = reinterpret_cast<float*>(bytes);
  float mine = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (int i = 0; i < times; ++i) {
    values[threadIdx.x] = mine;
    __syncthreads();
    mine = values[blockDim.x - 1 - threadIdx.x];
    __syncthreads();
  }
  y[blockIdx.x * blockDim.x + threadIdx.x] = mine;
}

extern "C" __global__ void count_threads(int* threads, unsigned long long* sum, float* total, int* largest,
                                         unsigned* slots) {
  const int number = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(threads, 1);
  atomicAdd(sum, static_cast<unsigned long long>(number));
  atomicAdd(total, 0.5f);
  atomicMax(largest, number);
  // The first thread of each pair of competitors gets the slot.
  atomicCAS(&slots[number / 2], 0u, number + 1u);
}

// The sum of each warp by a butterfly of shuffles, then of the block through shared memory.
extern "C" __global__ void block_sum(const float* x, OUTPUT float* sums) {
  __shared__ float of_warp[32];
  float sum = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (int distance = warpSize / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (threadIdx.x % warpSize == 0) of_warp[threadIdx.x / warpSize] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0.0f;
  for (int i = 0; i < blockDim.x / warpSize; ++i) total += of_warp[i];
  sums[blockIdx.x] = total;
}

extern "C" __global__ void write_a_slice(OUTPUT float* y, int y_pitch, int rows, int columns, int last_column) {
  for (int row = threadIdx.x; row < rows; row += blockDim.x)
    for (int column = 0; column < last_column; ++column) y[row * y_pitch + column] = row;
}
