// Dropout (Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural
// networks from overfitting", 2014) with masks that depend on nothing but the seed, the layer, the step and the place
// in the whole batch: they equal the CPU's, integer for integer.
//
//   forward   y  = kept_factor * x where kept, else 0; mask = 1 where kept, else 0
//   backward  gx = kept_factor * gy where kept, else 0; added to what gx holds with `accumulate`
//
// Element i of the whole batch, images counted from first_image[0], draws 32-bit number i % 8, low half of a word
// first, of Philox block i / 8, and is kept when the upper 24 bits are at least `threshold`. NumPy raises the counter
// before it computes a block, so block b is that of counter b + 1; the other words of the counter are the step and the
// layer.
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers. A dense array is one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th block of eight numbers (forward) or
// vector (backward). No shared memory.
// With WIDE, the numbers of a vector divide the elements of an image and the channels, so no vector crosses the end of
// a row, nor the beginning of this batch's share of a block.
// y may be x and gx may be gy: that is why no pointer is __restrict__. What is dropped is chosen, not multiplied: a
// product with 0 would make NaN of an infinity.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "philox.cuh"
#include "store_gradients.cuh"
#include "vectors.cuh"

namespace {

constexpr int NUMBERS_PER_BLOCK = 8;
constexpr int COUNT = CONTIGUOUS<STORED, WIDE>;
constexpr unsigned long long DROPOUT_STREAM = 4;  // of Stream in gpunn/random.py

// The upper 24 of the 32 bits that the element at this place of the block draws.
__device__ __forceinline__ int drawn(const PhiloxBlock& block, int place) {
  return static_cast<int>(static_cast<unsigned>(block.words[place / 2] >> (place % 2 ? 32 : 0)) >> 8);
}

}  // namespace

extern "C" __global__ void dropout_forward(OUTPUT STORED* y, int y_pitch, OUTPUT unsigned char* mask, int mask_pitch,
                                           const STORED* x, int x_pitch, const long long* step,
                                           const long long* first_image, int image_elements, int rows, int channels,
                                           unsigned long long seed, unsigned long long layer, int threshold,
                                           float kept_factor) {
  const long long elements = static_cast<long long>(rows) * channels;
  const long long start = first_image[0] * image_elements;  // of this batch in the whole one
  const int before = static_cast<int>(start % NUMBERS_PER_BLOCK);
  const long long blocks = (before + elements + NUMBERS_PER_BLOCK - 1) / NUMBERS_PER_BLOCK;
  const unsigned long long first_counter = start / NUMBERS_PER_BLOCK + 1;

  for (long long b = blockIdx.x * blockDim.x + threadIdx.x; b < blocks; b += gridDim.x * blockDim.x) {
    const PhiloxBlock block = philox(first_counter + b, step[0], layer, seed, DROPOUT_STREAM);
#pragma unroll
    for (int place = 0; place < NUMBERS_PER_BLOCK; place += COUNT) {
      const long long element = b * NUMBERS_PER_BLOCK + place - before;
      if (element < 0 || element >= elements) continue;  // another batch's share of the block
      const unsigned vector = static_cast<unsigned>(element) / COUNT, vectors = channels / COUNT;
      const unsigned row = rows == 1 ? 0 : vector / vectors;
      const int channel = static_cast<int>(vector - row * vectors) * COUNT;
      Floats<COUNT> values = load_floats<COUNT>(&at(x, x_pitch, row, channel));
      Vector<unsigned char, COUNT> kept;
#pragma unroll
      for (int j = 0; j < COUNT; ++j) {
        kept[j] = drawn(block, place + j) >= threshold;
        values[j] = kept[j] ? values[j] * kept_factor : 0.0f;
      }
      store_floats(&at(y, y_pitch, row, channel), values);
      store_vector(&at(mask, mask_pitch, row, channel), kept);
    }
  }
}

extern "C" __global__ void dropout_backward(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch,
                                            const unsigned char* mask, int mask_pitch, int rows, int channels,
                                            float kept_factor, int accumulate) {
  for_each_vector<COUNT>(rows, channels, [=](int row, int channel) {
    const Vector<unsigned char, COUNT> kept = load_vector<COUNT>(&at(mask, mask_pitch, row, channel));
    Floats<COUNT> gradients = load_floats<COUNT>(&at(gy, gy_pitch, row, channel));
#pragma unroll
    for (int i = 0; i < COUNT; ++i) gradients[i] = kept[i] ? gradients[i] * kept_factor : 0.0f;
    store_gradients(&at(gx, gx_pitch, row, channel), gradients, accumulate != 0);
  });
}
