// CUDA's functions of one thread: numbers, bits, and loads and stores with a hint for the caches, which are plain here.
// The types are CUDA's own overloads, so that what compiles here compiles for the GPU, with the same meaning.
//
// expf, logf, tanhf and the like are the C library's: they may differ from the GPU's in the last bits.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

// The C library's constants, which the GPU's compiler does not know: a kernel must not get used to them here.
#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef HUGE_VALF
#undef M_PI
#undef M_E
#undef M_SQRT2

namespace emulator {

template <class To, class From>
inline To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "both types must have the same size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace emulator

inline int __float_as_int(float value) { return emulator::same_bits<int>(value); }
inline unsigned __float_as_uint(float value) { return emulator::same_bits<unsigned>(value); }
inline float __int_as_float(int value) { return emulator::same_bits<float>(value); }
inline float __uint_as_float(unsigned value) { return emulator::same_bits<float>(value); }
inline long long __double_as_longlong(double value) { return emulator::same_bits<long long>(value); }
inline double __longlong_as_double(long long value) { return emulator::same_bits<double>(value); }

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline int __clz(int value) { return value ? __builtin_clz(static_cast<unsigned>(value)) : 32; }
inline int __clzll(long long value) { return value ? __builtin_clzll(static_cast<unsigned long long>(value)) : 64; }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __ffsll(long long value) { return __builtin_ffsll(value); }
inline unsigned __brev(unsigned value) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (value >> i & 1u) << (31 - i);
  return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(int64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((uint64_t{high} << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((uint64_t{high} << 32 | low) >> (shift & 31));
}
// Byte i of the result is the byte of b:a that nibble i of the selector names (its highest bit is not modelled).
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned chosen = selector >> (4 * i) & 7u;
    result |= static_cast<unsigned>(bytes >> (8 * chosen) & 0xffu) << (8 * i);
  }
  return result;
}

// A minimum or maximum of floats ignores a NaN, as CUDA's does and std::max does not.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
#define EMULATOR_MINIMUM_AND_MAXIMUM(type)                    \
  inline type min(type a, type b) { return b < a ? b : a; }   \
  inline type max(type a, type b) { return a < b ? b : a; }
EMULATOR_MINIMUM_AND_MAXIMUM(int)
EMULATOR_MINIMUM_AND_MAXIMUM(unsigned)
EMULATOR_MINIMUM_AND_MAXIMUM(long long)
EMULATOR_MINIMUM_AND_MAXIMUM(unsigned long long)
#undef EMULATOR_MINIMUM_AND_MAXIMUM

using std::abs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;
// The GPU's is right to within 2 units in the last place (CUDA C++ Programming Guide, "Mathematical Functions").
inline float rsqrtf(float value) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(value))); }
inline double rsqrt(double value) { return 1.0 / std::sqrt(value); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __double2float_rn(double value) { return static_cast<float>(value); }
// A NaN gives 0, and what does not fit the nearest that does.
inline int __float2int_rn(float value) {
  if (isnan(value)) return 0;
  if (value >= 2147483648.0f) return 0x7fffffff;
  return value < -2147483648.0f ? -0x7fffffff - 1 : static_cast<int>(std::nearbyint(value));
}

// Always inline: a report then names the kernel's line, not the one here.
#define EMULATOR_PLAIN_LOAD(name)                                              \
  template <class T>                                                           \
  inline __attribute__((always_inline)) T name(const T* pointer) {             \
    return *pointer;                                                           \
  }
#define EMULATOR_PLAIN_STORE(name)                                             \
  template <class T>                                                           \
  inline __attribute__((always_inline)) void name(T* pointer, T value) {       \
    *pointer = value;                                                          \
  }
EMULATOR_PLAIN_LOAD(__ldg)
EMULATOR_PLAIN_LOAD(__ldcs)
EMULATOR_PLAIN_LOAD(__ldcg)
EMULATOR_PLAIN_STORE(__stcs)
EMULATOR_PLAIN_STORE(__stcg)
#undef EMULATOR_PLAIN_LOAD
#undef EMULATOR_PLAIN_STORE
