// Voids the step in which a value is not finite: clears `apply`, and keeps the number of the first such step.
//
// Layout: `rows` rows of `channels` values, one row every values_pitch elements: an array may be a slice of the
// channels of a wider one. A dense array is one row.
// Grid: one-dimensional, any size. Of each block one thread reports, atomically; all report the same two numbers, so
// their order does not matter. When everything is finite nothing is written.
//
// Architectures: sm_75 and later
// VALUE: float | bfloat16 | float16 | double

#include "elementwise.cuh"
#include "primitives.cuh"

namespace {

constexpr unsigned long long NO_STEP = ~0ull;  // -1 as the unsigned type of atomicCAS

// Infinity minus itself, as everything with NaN, is NaN.
template <class T>
__device__ __forceinline__ bool is_finite(T value) {
  const float x = to_float(value);
  return x - x == 0.0f;
}

template <>
__device__ __forceinline__ bool is_finite(double x) {
  return x - x == 0.0;
}

}  // namespace

extern "C" __global__ void finite_check(int* apply, long long* latched_step, const VALUE* __restrict__ values,
                                        int values_pitch, int rows, int channels, const long long* step) {
  bool finite = true;
  for_each_element(rows, channels,
                   [&](int row, int channel) { finite &= is_finite(at(values, values_pitch, row, channel)); });
  if (__syncthreads_or(!finite) && threadIdx.x == 0) {
    atomicExch(apply, 0);
    atomicCAS(reinterpret_cast<unsigned long long*>(latched_step), NO_STEP,
              static_cast<unsigned long long>(step[0]));
  }
}
