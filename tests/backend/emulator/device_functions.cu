// CUDA's functions that kernels may use, once each, with the types that CUDA has them for: this file must compile for
// the GPU and in the emulator. test_device_functions.py says what they compute. Each thread has its own element.

#include "primitives.cuh"

#define ME (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void bits(const unsigned* a, const unsigned* b, OUTPUT unsigned* results, int n) {
  const unsigned x = a[ME], y = b[ME];
  const unsigned long long wide = static_cast<unsigned long long>(y) << 32 | x;
  unsigned* mine = results + ME * 16;
  mine[0] = __popc(x);
  mine[1] = __clz(static_cast<int>(x));
  mine[2] = __ffs(static_cast<int>(x));
  mine[3] = __brev(x);
  mine[4] = __umulhi(x, y);
  mine[5] = static_cast<unsigned>(__mulhi(static_cast<int>(x), static_cast<int>(y)));
  mine[6] = static_cast<unsigned>(__umul64hi(wide, wide) >> 32);
  mine[7] = static_cast<unsigned>(__umul64hi(wide, wide));
  mine[8] = __popcll(wide);
  mine[9] = __clzll(static_cast<long long>(wide));
  mine[10] = __ffsll(static_cast<long long>(wide));
  mine[11] = __funnelshift_l(x, y, 5);
  mine[12] = __funnelshift_r(x, y, 37);
  mine[13] = __byte_perm(x, y, 0x7410);
  mine[14] = max(x, y);
  mine[15] = min(x, y);
}

extern "C" __global__ void floats(const float* a, const float* b, OUTPUT float* results, int n) {
  const float x = a[ME], y = b[ME];
  float* mine = results + ME * 24;
  mine[0] = max(x, y);
  mine[1] = min(x, y);
  mine[2] = fmaxf(x, y);
  mine[3] = fminf(x, y);
  mine[4] = fmaf(x, y, 1.0f);
  mine[5] = fabsf(x);
  mine[6] = sqrtf(fabsf(x));
  mine[7] = rsqrtf(fabsf(x));
  mine[8] = expf(x);
  mine[9] = logf(fabsf(x));
  mine[10] = log1pf(fabsf(x));
  mine[11] = expm1f(x);
  mine[12] = tanhf(x);
  mine[13] = powf(fabsf(x), y);
  mine[14] = floorf(x);
  mine[15] = ceilf(x);
  mine[16] = rintf(x);
  mine[17] = isnan(x) ? 1.0f : 0.0f;
  mine[18] = isfinite(x) ? 1.0f : 0.0f;
  mine[19] = isinf(x) ? 1.0f : 0.0f;
  mine[20] = copysignf(1.0f, x);
  mine[21] = erff(x);
  mine[22] = static_cast<float>(__float2int_rn(x));
  mine[23] = __int_as_float(__float_as_int(x)) == x ? __uint_as_float(__float_as_uint(x)) : 0.0f;
}

extern "C" __global__ void doubles(const double* a, OUTPUT double* results, int n) {
  const double x = a[ME];
  double* mine = results + ME * 8;
  mine[0] = sqrt(fabs(x));
  mine[1] = exp(x);
  mine[2] = pow(fabs(x), 0.5);
  mine[3] = fma(x, x, 1.0);
  mine[4] = max(x, 0.0);
  mine[5] = __longlong_as_double(__double_as_longlong(x));
  mine[6] = __double2float_rn(x);
  mine[7] = abs(x) + abs(-3) + abs(-2.5f);
}

extern "C" __global__ void rounded(const float* a, const float* b, OUTPUT float* results, int n) {
  float* mine = results + ME * 6;
  mine[0] = __fadd_rn(a[ME], b[ME]);
  mine[1] = __fsub_rn(a[ME], b[ME]);
  mine[2] = __fmul_rn(a[ME], b[ME]);
  mine[3] = __fdiv_rn(a[ME], b[ME]);
  mine[4] = __fsqrt_rn(fabsf(a[ME]));
  mine[5] = __fmaf_rn(a[ME], b[ME], 1.0f);
}

extern "C" __global__ void integers(const int* a, const int* b, OUTPUT long long* results, int n) {
  const int x = a[ME], y = b[ME];
  long long* mine = results + ME * 6;
  mine[0] = max(x, y);
  mine[1] = min(x, y);
  mine[2] = abs(x);
  mine[3] = max(static_cast<long long>(x) * y, 7LL);
  mine[4] = min(static_cast<unsigned long long>(x) << 1, 100ULL);
  mine[5] = max(min(x, 5), -5);
}

extern "C" __global__ void shuffled(const float* a, OUTPUT float* results, int n) {
  const float x = a[ME];
  const unsigned whole_warp = 0xffffffffu;
  float* mine = results + ME * 7;
  mine[0] = __shfl_xor_sync(whole_warp, x, 1);
  mine[1] = __shfl_xor_sync(whole_warp, static_cast<int>(x), 2);
  mine[2] = __shfl_down_sync(whole_warp, static_cast<unsigned>(x), 3);
  mine[3] = static_cast<float>(__shfl_up_sync(whole_warp, static_cast<double>(x), 4));
  mine[4] = static_cast<float>(__shfl_sync(whole_warp, static_cast<long long>(x), 5));
  mine[5] = static_cast<float>(__shfl_sync(whole_warp, static_cast<unsigned long long>(x), 6));
  mine[6] = __popc(__ballot_sync(whole_warp, x > 3.0f));
}

extern "C" __global__ void atomics(const int* values, int* sums, unsigned* unsigned_sums, unsigned long long* wide_sums,
                                   float* float_sums, double* double_sums, int n) {
  const int x = values[ME];
  const unsigned positive = static_cast<unsigned>(x);
  atomicAdd(&sums[0], x);
  atomicMin(&sums[1], x);
  atomicMax(&sums[2], x);
  atomicAnd(&sums[3], x);
  atomicOr(&sums[4], x);
  atomicExch(&sums[5], 7);
  atomicCAS(&sums[6], 0, 9);
  atomicAdd(&unsigned_sums[0], 1);
  atomicMin(&unsigned_sums[1], positive);
  atomicMax(&unsigned_sums[2], positive);
  atomicAdd(&wide_sums[0], 1ULL << 33);
  atomicMin(&wide_sums[1], static_cast<unsigned long long>(positive));
  atomicMax(&wide_sums[2], static_cast<unsigned long long>(positive));
  atomicAdd(&float_sums[0], 0.5f);
  atomicAdd(&double_sums[0], 0.25);
}

extern "C" __global__ void vectors(const unsigned* a, OUTPUT unsigned* results, int n) {
  const uint4 four = __ldg(reinterpret_cast<const uint4*>(a) + ME);
  const ushort4 narrow = make_ushort4(four.x, four.y, four.z, four.w);
  const uchar4 bytes = make_uchar4(four.x, four.y, four.z, four.w);
  const int2 pair = make_int2(static_cast<int>(four.x), static_cast<int>(four.y));
  const int4 quadruple = make_int4(pair.x, pair.y, pair.x, pair.y);
  const float2 reals = make_float2(pair.x, pair.y);
  const double2 wide = make_double2(reals.x, reals.y);
  const uint2 sum = make_uint2(narrow.x + bytes.w, quadruple.w + static_cast<unsigned>(wide.x));
  __stcs(reinterpret_cast<uint2*>(results) + ME, sum);
}
