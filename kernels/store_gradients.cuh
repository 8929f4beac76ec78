// How a gradient reaches its array: written, or added to what other consumers of the same activation left there.
#pragma once

#include "vectors.cuh"

template <int COUNT, class T>
__device__ __forceinline__ void store_gradients(T* to, Floats<COUNT> gradients, bool accumulate) {
  if (accumulate) {
    const Floats<COUNT> before = load_floats<COUNT>(to);
#pragma unroll
    for (int i = 0; i < COUNT; ++i) gradients[i] += before[i];
  }
  store_floats(to, gradients);
}
