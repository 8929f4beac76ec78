// Softmax over the classes of each row (Bridle, "Probabilistic interpretation of feedforward classification network
// outputs", 1990).
//
//   forward   y[k]  = exp(x[k] - largest) / sum over j of exp(x[j] - largest)
//   backward  gx[k] = y[k] (gy[k] - sum over j of gy[j] y[j]); added to what gx holds with `accumulate`
//
// Layout: N rows of `classes` numbers; a row of array a starts every a_pitch numbers.
// Grid: one block a row, of any number of warps; each thread takes every blockDim.x-th class, so that neighbouring
// threads read neighbouring numbers. A row is read three times, but from memory only once.
// Shared memory: a number a warp, for the reductions.
// y may be x and gx may be gy: that is why no pointer is __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "softmax_row.cuh"

extern "C" __global__ void softmax_forward(OUTPUT STORED* y, int y_pitch, const STORED* x, int x_pitch, int classes) {
  const long long n = blockIdx.x;
  const STORED* scores = x + n * x_pitch;
  STORED* result = y + n * y_pitch;
  const Softmax row = softmax_of_row(scores, classes);
  for (int k = threadIdx.x; k < classes; k += blockDim.x)
    result[k] = from_float<STORED>(row.probability(to_float(scores[k])));
}

extern "C" __global__ void softmax_backward(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch, const STORED* y,
                                            int y_pitch, int classes, int accumulate) {
  const long long n = blockIdx.x;
  const STORED* gradient = gy + n * gy_pitch;
  const STORED* probability = y + n * y_pitch;
  STORED* result = gx + n * gx_pitch;
  const float mean = reduce_row(classes, 0.0f, Add(),
                                [=](int k) { return to_float(gradient[k]) * to_float(probability[k]); });
  for (int k = threadIdx.x; k < classes; k += blockDim.x) {
    const float value = to_float(probability[k]) * (to_float(gradient[k]) - mean);
    result[k] = from_float<STORED>(accumulate ? to_float(result[k]) + value : value);
  }
}
