// Philox4x64-10, the counter-based random numbers of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", 2011, section 4.2 and table 2. A block of numbers is a function of its counter and the key, and of
// nothing else, so any thread can compute any block. NumPy's Philox is the same generator: see gpunn/random.py.
#pragma once

struct PhiloxBlock {
  unsigned long long words[4];
};

// The block of 256 random bits of that counter, whose fourth word is 0.
__device__ __forceinline__ PhiloxBlock philox(unsigned long long counter_0, unsigned long long counter_1,
                                              unsigned long long counter_2, unsigned long long key_0,
                                              unsigned long long key_1) {
  constexpr int ROUNDS = 10;
  constexpr unsigned long long MULTIPLIER_0 = 0xD2E7470EE14C6C93, MULTIPLIER_1 = 0xCA5A826395121157;
  // The fractions of the golden ratio and of the root of 3, in units of 2^-64, keep the rounds' keys apart.
  constexpr unsigned long long KEY_STEP_0 = 0x9E3779B97F4A7C15, KEY_STEP_1 = 0xBB67AE8584CAA73B;
  unsigned long long a = counter_0, b = counter_1, c = counter_2, d = 0;
#pragma unroll
  for (int round = 0; round < ROUNDS; ++round) {
    const unsigned long long high_a = __umul64hi(MULTIPLIER_0, a), low_a = MULTIPLIER_0 * a;
    const unsigned long long high_c = __umul64hi(MULTIPLIER_1, c), low_c = MULTIPLIER_1 * c;
    a = high_c ^ b ^ key_0;
    b = low_c;
    c = high_a ^ d ^ key_1;
    d = low_a;
    key_0 += KEY_STEP_0;
    key_1 += KEY_STEP_1;
  }
  return {{a, b, c, d}};
}
