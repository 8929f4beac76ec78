// Keeps the running statistics that a step proposed, or undoes the proposal when the step is void.
//
//   apply != 0   statistics = pending         apply = 0   pending = statistics
//
// Layout: both arrays are dense.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th element.
//
// Architectures: sm_75 and later

#include "elementwise.cuh"
#include "primitives.cuh"

extern "C" __global__ void commit_statistics(float* __restrict__ statistics, float* __restrict__ pending,
                                             const int* apply, int elements) {
  float* const target = apply[0] ? statistics : pending;
  const float* const source = apply[0] ? pending : statistics;
  for_each_element(1, elements, [=](int, int i) { target[i] = source[i]; });
}
