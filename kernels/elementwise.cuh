// How a one-dimensional grid of any size walks over arrays whose channels may be a slice of a wider array.
#pragma once

// Calls f(row, channel) for this thread's share of `rows` x `channels` elements, of which there are less than 2^31:
// neighbouring threads take neighbouring channels, and each thread every (blocks * threads)-th element.
template <class Function>
__device__ __forceinline__ void for_each_element(int rows, int channels, Function f) {
  const unsigned elements = static_cast<unsigned>(rows) * static_cast<unsigned>(channels);
  const unsigned step = gridDim.x * blockDim.x;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
    const unsigned row = rows == 1 ? 0 : i / channels;
    f(static_cast<int>(row), static_cast<int>(i - row * channels));
  }
}

// The element of that row and channel in an array whose rows start every `pitch` elements.
template <class T>
__device__ __forceinline__ T& at(T* array, int pitch, int row, int channel) {
  return array[static_cast<long long>(row) * pitch + channel];
}
