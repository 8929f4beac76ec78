// What the warps of a convolution touch in shared memory, told by shared memory that is filled with its own addresses:
// a number that was read there says where it lay. The loads and stores are those of the packaged headers; the pictures
// are drawn once with them and once with a copy that does not move the chunks (bank_conflicts.py).
//
// Grid: one block of 128 threads.
// Architectures: sm_80 and later
// TILE: 128

#include "tensor_core_loads.cuh"
#include "tile_product.cuh"

namespace {

using Shape = tiles::aligned_128x128<bfloat16>;
using RowLayout = DepthContiguous<bfloat16, Shape::ROWS, Shape::DEPTH>;
using ColumnLayout = IndexContiguous<bfloat16, Shape::COLUMNS, Shape::DEPTH>;
constexpr int OPERAND = Shape::ROWS * Shape::DEPTH;

__device__ __forceinline__ void fill_with_addresses(bfloat16* tile) {
  for (int i = threadIdx.x; i < OPERAND; i += blockDim.x) tile[i].bits = static_cast<unsigned short>(i);
  __syncthreads();
}

}  // namespace

// The first fragment of A, as the first warp's lanes hold it: 32 lanes x 4 registers of two addresses.
extern "C" __global__ void load_rows(unsigned* fragments) {
  __shared__ __align__(128) bfloat16 tile[OPERAND];
  fill_with_addresses(tile);
  if (threadIdx.x >= WARP_LANES) return;
  unsigned fragment[4];
  RowLayout::Lane<true>(0).load(fragment, tile, 0, 0);
  for (int i = 0; i < 4; ++i) fragments[threadIdx.x * 4 + i] = fragment[i];
}

// The same of B.
extern "C" __global__ void load_columns(unsigned* fragments) {
  __shared__ __align__(128) bfloat16 tile[OPERAND];
  fill_with_addresses(tile);
  if (threadIdx.x >= WARP_LANES) return;
  unsigned fragment[4];
  ColumnLayout::Lane<false>(0).load(fragment, tile, 0, 0);
  for (int i = 0; i < 4; ++i) fragments[threadIdx.x * 4 + i] = fragment[i];
}

// The first store of the ordinary kernel's patches: word i of `stored` is 1 + the lane that wrote word i of the slice.
extern "C" __global__ void store_patches(OUTPUT int* stored) {
  __shared__ __align__(128) SharedSlice slice;
  constexpr int WORDS = SLICE * SHARED_ROW;
  float* const words = &slice[0][0];
  for (int i = threadIdx.x; i < WORDS; i += blockDim.x) words[i] = 0.0f;
  __syncthreads();
  if (threadIdx.x < WARP_LANES) {
    const float lane = 1.0f + static_cast<float>(threadIdx.x);
    const float values[QUAD] = {lane, 0.0f, 0.0f, 0.0f};
    store_in_column(slice, place_in_column(), values);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < WORDS; i += blockDim.x) stored[i] = static_cast<int>(words[i]);
}
