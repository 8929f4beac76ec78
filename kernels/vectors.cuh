// Several neighbouring numbers moved by one instruction: a thread loads and stores 16 bytes at most.
//
// A file that has both forms declares the choice "// WIDE: 0 | 1"; gpunn/backend/cuda/shared/vectors.py takes 1 where the
// channels, the pitch and the address of every array allow it. CONTIGUOUS<STORED, WIDE> is then the channels that a
// thread moves at once.
#pragma once

#include "elementwise.cuh"
#include "primitives.cuh"

constexpr int WIDEST_ACCESS = 16;  // bytes

// How many numbers of type T a thread moves at once.
template <class T, bool IS_WIDE>
constexpr int CONTIGUOUS = IS_WIDE ? WIDEST_ACCESS / static_cast<int>(sizeof(T)) : 1;

template <class T, int COUNT>
struct alignas(COUNT * sizeof(T)) Vector {
  static_assert(COUNT * sizeof(T) <= WIDEST_ACCESS, "one access moves 16 bytes at most");
  T values[COUNT];

  __device__ __forceinline__ T& operator[](int i) { return values[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return values[i]; }
};

// COUNT floats to compute with; they live in registers, so there may be more than one access moves.
template <int COUNT>
struct Floats {
  float values[COUNT];

  __device__ __forceinline__ float& operator[](int i) { return values[i]; }
  __device__ __forceinline__ const float& operator[](int i) const { return values[i]; }
};

// The words that the hardware moves, by their bytes.
template <int BYTES>
struct Words;
template <>
struct Words<1> {
  using Type = unsigned char;
};
template <>
struct Words<2> {
  using Type = unsigned short;
};
template <>
struct Words<4> {
  using Type = int;
};
template <>
struct Words<8> {
  using Type = int2;
};
template <>
struct Words<16> {
  using Type = int4;
};

// COUNT numbers from `from` on, which is aligned to all of them together.
template <int COUNT, class T>
__device__ __forceinline__ Vector<T, COUNT> load_vector(const T* from) {
  using Type = typename Words<COUNT * sizeof(T)>::Type;
  Vector<T, COUNT> vector;
  *reinterpret_cast<Type*>(vector.values) = *reinterpret_cast<const Type*>(from);
  return vector;
}

template <int COUNT, class T>
__device__ __forceinline__ void store_vector(T* to, const Vector<T, COUNT>& vector) {
  using Type = typename Words<COUNT * sizeof(T)>::Type;
  *reinterpret_cast<Type*>(to) = *reinterpret_cast<const Type*>(vector.values);
}

// The same with a conversion, for numbers to compute with.
template <int COUNT, class T>
__device__ __forceinline__ Floats<COUNT> load_floats(const T* from) {
  const Vector<T, COUNT> vector = load_vector<COUNT>(from);
  Floats<COUNT> floats;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) floats[i] = to_float(vector[i]);
  return floats;
}

template <int COUNT, class T>
__device__ __forceinline__ void store_floats(T* to, const Floats<COUNT>& floats) {
  Vector<T, COUNT> vector;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) vector[i] = from_float<T>(floats[i]);
  store_vector(to, vector);
}

// As for_each_element, COUNT channels at a time: f(row, first of the channels). COUNT divides `channels`.
template <int COUNT, class Function>
__device__ __forceinline__ void for_each_vector(int rows, int channels, Function f) {
  for_each_element(rows, channels / COUNT, [=](int row, int vector) { f(row, vector * COUNT); });
}
