// Penalties on the size of the weights: L1 (p = 1), L2 (p = 2) and every other power.
//
//   value = strength / p * sum |w|^p       gradient += strength * |w|^(p-1) * sign(w)
//
// A weight of 0 is not pulled, whatever the power. The value is summed in double.
//
// Layout: see chunks.cuh; the table lists the segments with decay, frozen ones too, and how many elements of each chunk
// belong to its segment: what fills the last chunk has no part in this.
// Grid: one-dimensional, 256 threads a block; finish_penalty one block. The number of blocks follows from that of the
// chunks, so that the same weights give the same bits on every GPU.
// Memory: the value 4 bytes a parameter, the gradient 12 (w and gradient read, gradient written), and 8 bytes of table
// for 64 parameters.
//
// Architectures: sm_75 and later

#include "chunks.cuh"
#include "partials.cuh"
#include "primitives.cuh"
#include "vectors.cuh"

namespace {

// Whether the segment has an element at that place; `length` is that of its part of the chunk.
__device__ __forceinline__ bool belongs(int element, int length) { return element % CHUNK_ELEMENTS < length; }

}  // namespace

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    sum_powers(OUTPUT double* __restrict__ partials, const float* __restrict__ parameters,
               const int* __restrict__ chunk_number, const int* __restrict__ chunk_length, int chunks, double p) {
  double sum = 0.0;
  for_each_chunk(chunk_number, chunks, [&](int row, int first) {
    const auto w = load_floats<THREAD_ELEMENTS>(parameters + first);
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      if (!belongs(first + i, chunk_length[row])) continue;
      const double size = fabs(static_cast<double>(w[i]));
      sum += p == 1.0 ? size : p == 2.0 ? size * size : pow(size, p);
    }
  });
  sum = block_sum<BLOCK_THREADS>(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    finish_penalty(OUTPUT double* __restrict__ value, const double* __restrict__ partials, int count, double factor) {
  const double sum = sum_partials<BLOCK_THREADS>(partials, count);
  if (threadIdx.x == 0) value[0] = factor * sum;
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    penalty_gradient(float* __restrict__ gradients, const float* __restrict__ parameters,
                     const int* __restrict__ chunk_number, const int* __restrict__ chunk_length, int chunks,
                     float strength, float p) {
  for_each_chunk(chunk_number, chunks, [=](int row, int first) {
    const auto w = load_floats<THREAD_ELEMENTS>(parameters + first);
    auto gradient = load_floats<THREAD_ELEMENTS>(gradients + first);
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      const float size = fabsf(w[i]);
      if (!belongs(first + i, chunk_length[row]) || size == 0.0f) continue;
      const float power = p == 1.0f ? 1.0f : p == 2.0f ? size : powf(size, p - 1.0f);
      gradient[i] += strength * copysignf(power, w[i]);
    }
    store_floats(gradients + first, gradient);
  });
}
