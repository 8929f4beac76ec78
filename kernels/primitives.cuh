// What every kernel includes: the words of a kernel's signature, the 16-bit number types, and the primitives that look
// different on the GPU and in the emulator. Inline PTX may be written in primitives*.cuh only, beside its emulation.
#pragma once

// In front of a pointer parameter: the kernel writes every element exactly once, and reads none before.
// The launcher reads these words from the source; the emulator's check build holds the kernel to this one.
#define OUTPUT

// In front of a pointer parameter: it may be null.
#define OPTIONAL

// Shared memory whose size is given at launch; `name` points to its bytes.
#ifdef GPUNN_EMULATOR
#define DYNAMIC_SHARED(name) unsigned char* const name = emulator_dynamic_shared_memory()
#else
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif

// The 16-bit types are stored as their bits and computed with as float: arithmetic on them is a conversion away, and
// never happens by accident. bfloat16 is the upper half of a float; float16 is IEEE's binary16.
struct bfloat16 {
  unsigned short bits;
};
struct float16 {
  unsigned short bits;
};

__device__ __forceinline__ float to_float(float value) { return value; }

__device__ __forceinline__ float to_float(bfloat16 value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}

__device__ __forceinline__ float to_float(float16 value) {
#ifdef GPUNN_EMULATOR
  return static_cast<float>(emulator::same_bits<_Float16>(value.bits));
#else
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#endif
}

// The nearest number of type T, the even one of two as near; beyond the largest it is infinite, and a NaN stays one.
template <class T>
__device__ __forceinline__ T from_float(float value);

template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}

template <>
__device__ __forceinline__ bfloat16 from_float<bfloat16>(float value) {
#if !defined(GPUNN_EMULATOR) && __CUDA_ARCH__ >= 800
  bfloat16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#else
  constexpr unsigned HALF_OF_LAST_PLACE = 0x7fff;
  constexpr unsigned short NOT_A_NUMBER = 0x7fff;
  const unsigned bits = __float_as_uint(value);
  if (value != value) return {NOT_A_NUMBER};
  return {static_cast<unsigned short>((bits + HALF_OF_LAST_PLACE + (bits >> 16 & 1)) >> 16)};
#endif
}

template <>
__device__ __forceinline__ float16 from_float<float16>(float value) {
  float16 result;
#ifdef GPUNN_EMULATOR
  result.bits = emulator::same_bits<unsigned short>(static_cast<_Float16>(value));
#else
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#endif
  return result;
}

// max(0, x). A NaN stays one (fmaxf would make it 0), so that the finite check of the loss still sees it.
__device__ __forceinline__ float relu(float x) { return x < 0.0f ? 0.0f : x; }
