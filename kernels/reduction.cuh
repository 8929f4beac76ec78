// Sums over the threads of a warp and of a block, always in the same order: the same numbers give the same bits.
#pragma once

constexpr int WARP_THREADS = 32;
constexpr unsigned WHOLE_WARP = 0xffffffffu;

// The sum over the warp's 32 threads, in every one of them, as a tree whose shape is fixed.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = WARP_THREADS / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(WHOLE_WARP, value, distance);
  return value;
}

// The sum over all THREADS of the block, in every one of them. Every thread calls it; it may be called again at once.
template <int THREADS, class T>
__device__ __forceinline__ T block_sum(T value) {
  static_assert(THREADS % WARP_THREADS == 0, "a block is made of whole warps");
  constexpr int WARPS = THREADS / WARP_THREADS;
  __shared__ T warp_sums[WARPS];
  value = warp_sum(value);
  if (threadIdx.x % WARP_THREADS == 0) warp_sums[threadIdx.x / WARP_THREADS] = value;
  __syncthreads();
  T sum = warp_sums[0];
#pragma unroll
  for (int warp = 1; warp < WARPS; ++warp) sum += warp_sums[warp];
  __syncthreads();  // the next call overwrites what slower warps still read
  return sum;
}

// COUNT sums that are gathered together.
template <int COUNT>
struct Sums {
  float values[COUNT];

  __device__ __forceinline__ void merge(const Sums& other) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) values[i] += other.values[i];
  }
};

// Merges what the threads with the same threadIdx.x hold into the one whose threadIdx.y is 0, as a tree whose shape is
// fixed. Value is made of floats alone and has merge(const Value&). The block has THREADS threads, and blockDim.y is a
// power of two. Every thread calls it; it may be called again at once.
template <int THREADS, class Value>
__device__ __forceinline__ void merge_rows(Value& mine) {
  constexpr int WORDS = sizeof(Value) / sizeof(float);
  // Word by word, so that neighbouring threads use neighbouring memory banks.
  __shared__ float sent[WORDS][THREADS / 2];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    if (threadIdx.y >= half && threadIdx.y < 2 * half) {
      const float* words = reinterpret_cast<const float*>(&mine);
#pragma unroll
      for (int word = 0; word < WORDS; ++word)
        sent[word][(threadIdx.y - half) * blockDim.x + threadIdx.x] = words[word];
    }
    __syncthreads();
    if (threadIdx.y < half) {
      Value other;
      float* words = reinterpret_cast<float*>(&other);
#pragma unroll
      for (int word = 0; word < WORDS; ++word) words[word] = sent[word][threadIdx.y * blockDim.x + threadIdx.x];
      mine.merge(other);
    }
    __syncthreads();  // the next round overwrites what slower warps still read
  }
}
