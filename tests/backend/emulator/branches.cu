// Kernels with branches that test_coverage.py takes or leaves. One block of 4 threads.
//
// STORED: float | bfloat16

#include "primitives.cuh"

namespace {

__device__ __forceinline__ float at_least_zero(float x) {
  return x > 0.0f ? x : 0.0f;  // BRANCH: in a function that is inlined twice
}

template <int FACTOR>
__device__ float scaled(float x) {
  if constexpr (FACTOR > 1) x *= FACTOR;
  return x > 10.0f ? 10.0f : x;  // BRANCH: in a template
}

template <class Function>
__device__ void for_each(int n, Function f) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) f(i);  // BRANCH: of a loop
}

}  // namespace

extern "C" __global__ void clamp(OUTPUT STORED* y, const STORED* x, OPTIONAL const float* bias, int n) {
  for_each(n, [=](int i) {
    const float added = bias ? bias[i] : 0.0f;  // BRANCH: bias
    y[i] = from_float<STORED>(scaled<2>(at_least_zero(to_float(x[i]) + added)));
  });
}

extern "C" __global__ void identity(OUTPUT STORED* y, const STORED* x, int n) {
  for_each(n, [=](int i) { y[i] = from_float<STORED>(scaled<1>(at_least_zero(to_float(x[i])))); });
}
