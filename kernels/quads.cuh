// Four neighbouring elements at once: one access of 16 bytes (float) or 8 (16-bit types) where the address allows it.
#pragma once

#include "primitives.cuh"

constexpr int QUAD = 4;

template <class T>
struct __align__(QUAD * sizeof(T)) Quad {
  T element[QUAD];
};

// values = the first `count` elements, then zeros. `vector` promises that the address is a multiple of a quad's size
// and that `count` is at most 0 or at least 4; otherwise the elements are read one by one.
template <class T>
__device__ __forceinline__ void load_quad(float (&values)[QUAD], const T* from, int count, bool vector) {
  if (vector && count > 0) {
    const Quad<T> quad = *reinterpret_cast<const Quad<T>*>(from);
#pragma unroll
    for (int j = 0; j < QUAD; ++j) values[j] = to_float(quad.element[j]);
  } else {
#pragma unroll
    for (int j = 0; j < QUAD; ++j) values[j] = j < count ? to_float(from[j]) : 0.0f;
  }
}

// Drops the first value and appends one, for loops that must stay loops: these cannot index registers.
__device__ __forceinline__ void shift_in(float (&values)[QUAD], float value) {
#pragma unroll
  for (int j = 1; j < QUAD; ++j) values[j - 1] = values[j];
  values[QUAD - 1] = value;
}

// Writes the first `count` values; `vector` as above.
template <class T>
__device__ __forceinline__ void store_quad(T* to, const float (&values)[QUAD], int count, bool vector) {
  if (vector && count > 0) {
    Quad<T> quad;
#pragma unroll
    for (int j = 0; j < QUAD; ++j) quad.element[j] = from_float<T>(values[j]);
    *reinterpret_cast<Quad<T>*>(to) = quad;
  } else {
#pragma unroll
    for (int j = 0; j < QUAD; ++j)
      if (j < count) to[j] = from_float<T>(values[j]);
  }
}
