// How a one-dimensional grid of any size walks over the flat array of all parameters, four elements a thread at a time.
#pragma once

#include "vectors.cuh"

// The array is a row of chunks of 64 elements, each inside one parameter tensor and 256-byte aligned; a table names the
// chunks that a kernel works on. What fills a tensor's last chunk up to 64 holds zeros.
constexpr int CHUNK_ELEMENTS = 64;
constexpr int THREAD_ELEMENTS = 4;
constexpr int CHUNK_THREADS = CHUNK_ELEMENTS / THREAD_ELEMENTS;
constexpr int BLOCK_THREADS = 256;
constexpr int BLOCK_CHUNKS = BLOCK_THREADS / CHUNK_THREADS;

// Calls f(row of the table, first of four elements) for this thread's share of the chunks: 16 threads to a chunk.
template <class Function>
__device__ __forceinline__ void for_each_chunk(const int* __restrict__ chunk_number, int chunks, Function f) {
  const int place = threadIdx.x % CHUNK_THREADS * THREAD_ELEMENTS;
  for (int row = blockIdx.x * BLOCK_CHUNKS + threadIdx.x / CHUNK_THREADS; row < chunks; row += gridDim.x * BLOCK_CHUNKS)
    f(row, chunk_number[row] * CHUNK_ELEMENTS + place);
}
