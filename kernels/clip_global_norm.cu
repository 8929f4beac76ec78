// The length of the gradient of all trainable parameters, and what brings it down to a maximum (Pascanu, Mikolov and
// Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1).
//
//   norm = sqrt(sum of gradient^2)         gradient_scale = min(1, maximum / norm)
//
// The gradients stay as they are: the optimiser multiplies them by gradient_scale when it reads them. The sum is in
// double, where the square of a float neither overflows nor loses a bit. A norm of NaN leaves the scale 1.
//
// Layout: see chunks.cuh; frozen chunks have no entry in the table.
// Grid: sum_squares any size, 256 threads a block, a partial sum for each block; finish_norm one block. The number of
// blocks follows from that of the chunks, so that the same gradients give the same bits on every GPU.
// Memory: 4 bytes a parameter, and 4 bytes of table for 64 parameters.
//
// Architectures: sm_75 and later

#include "chunks.cuh"
#include "partials.cuh"
#include "primitives.cuh"
#include "vectors.cuh"

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    sum_squares(OUTPUT double* __restrict__ partials, const float* __restrict__ gradients,
                const int* __restrict__ chunk_number, int chunks) {
  double sum = 0.0;
  for_each_chunk(chunk_number, chunks, [&](int, int first) {
    const auto gradient = load_floats<THREAD_ELEMENTS>(gradients + first);
#pragma unroll
    for (int i = 0; i < THREAD_ELEMENTS; ++i) {
      const double g = static_cast<double>(gradient[i]);
      sum = fma(g, g, sum);
    }
  });
  sum = block_sum<BLOCK_THREADS>(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    finish_norm(OUTPUT double* __restrict__ norm, OUTPUT double* __restrict__ gradient_scale,
                const double* __restrict__ partials, int count, double maximum) {
  const double length = sqrt(sum_partials<BLOCK_THREADS>(partials, count));
  if (threadIdx.x == 0) {
    norm[0] = length;
    gradient_scale[0] = length > maximum ? maximum / length : 1.0;
  }
}
