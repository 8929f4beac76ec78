// A product of matrices on tensor cores, one tile of the result a block. The convolutions differ in where the operands
// come from and where the sums go; in between is this.
//
//                          COLUMNS
//                     +-------+-------+         Four warps side by side, two by two, share the tile. In each step of
//             DEPTH   | B     |       |         DEPTH the block multiplies a piece of A and a piece of B, which wait
//           +------+  +-------+-------+         in shared memory: STAGES pieces of each, so that the next are on
//           | A    |  | warp  | warp  |         their way (cp.async) while one is multiplied.
//     ROWS  |      |  |   0   |   1   |
//           +------+  +-------+-------+         A warp's quarter is made of tensor-core products of 16 x 8; at 64 x 64
//           |      |  | warp  | warp  |         a fragment that is loaded once is used 4 or 8 times, and both the sums
//           |      |  |   2   |   3   |         (128 registers) and two sets of fragments (64) fit two blocks on a
//           +------+  +-------+-------+         multiprocessor. The second set is loaded while the first is multiplied.
//
// (Eight warps of 64 x 32 would read shared memory half as much again, which then is the limit, not the tensor cores.)
//
// In shared memory an operand lies as it does in global memory, in lines of 16-byte chunks: copies need no reordering,
// and ldmatrix transposes on the way to the registers where that is needed. Chunks of a line change places (XOR with
// the line's number), so that neither eight neighbouring lines of a matrix nor eight neighbouring chunks of a line meet
// in a memory bank: every access takes the fewest possible wavefronts.
//
// Sources: Kerr et al., "CUTLASS: fast linear algebra in CUDA C++" (2017) for the hierarchy; PTX ISA 8.0, "Matrix
// fragments for mma.m16n8k16" and "for mma.m16n8k8" for what each lane holds.
#pragma once

#include "primitives_tensor.cuh"

constexpr int WARP_LANES = 32;
constexpr int CHUNK_BYTES = 16;  // what ldmatrix takes as a row, and the widest copy
constexpr int MATRIX_LINES = 8;  // of one matrix of ldmatrix
constexpr int FRAGMENT_INDICES = 2 * MATRIX_LINES;
constexpr int PRODUCTS_A_STAGE = 2;

// Rows and columns are multiples of 64, so that a line of either spans all memory banks.
template <class Element_, int ROWS_, int COLUMNS_>
struct TileShape {
  using Element = Element_;
  static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_;
  static constexpr int DEPTH = PRODUCTS_A_STAGE * TensorCore<Element>::DEPTH;
  static constexpr int STAGES = 3;
  static constexpr int WARPS_DOWN = 2, WARPS_ACROSS = 2;
  static constexpr int THREADS = WARPS_DOWN * WARPS_ACROSS * WARP_LANES;
  // Blocks that must fit a multiprocessor, which bounds the registers of a thread to 255, 168 and 128.
  static constexpr int RESIDENT_BLOCKS = ROWS * COLUMNS > 128 * 64 ? 2 : ROWS * COLUMNS > 64 * 64 ? 3 : 4;
  static constexpr int WARP_ROWS = ROWS / WARPS_DOWN, WARP_COLUMNS = COLUMNS / WARPS_ACROSS;
  static constexpr int STAGE_ELEMENTS = (ROWS + COLUMNS) * DEPTH;
  static constexpr int SHARED_BYTES = STAGES * STAGE_ELEMENTS * static_cast<int>(sizeof(Element));
};

template <class Element>
constexpr int CHUNK = CHUNK_BYTES / static_cast<int>(sizeof(Element));  // elements

// How an operand lies in shared memory: in lines, as in global memory; place() is where an element of a line is, and
// after every PERIOD lines the order of a line's chunks repeats. `index` is a row of A or a column of B.
//
// A Lane loads fragments of 16 indices by one product's depth: four matrices of 8 indices by one chunk of depth, which
// A wants index first (matrices 0 and 1 are the upper and the lower eight) and B depth first. What depends on the lane
// is computed once, in bytes. A fragment is two chunks wide, so the i-th one along a line is found by flipping bits of
// the place: XOR with i times FRAGMENT_BYTES. Everything else that load() adds is a constant.
constexpr int FRAGMENT_BYTES = 2 * CHUNK_BYTES;

template <class Element>
__device__ __forceinline__ const Element* at_byte(const Element* tile, int offset) {
  return reinterpret_cast<const Element*>(reinterpret_cast<const unsigned char*>(tile) + offset);
}

// Neighbours in memory are neighbours in depth; a line is 64 bytes, so two lines share the memory banks once.
template <class Element, int INDICES, int DEPTH>
struct DepthContiguous {
  static constexpr int LINES = INDICES, WIDTH = DEPTH, PERIOD = MATRIX_LINES;

  static __device__ __forceinline__ int place(int index, int depth) {
    const int chunk = depth / CHUNK<Element> ^ index / 2 % 4;
    return index * WIDTH + chunk * CHUNK<Element> + depth % CHUNK<Element>;
  }

  template <bool IS_A>
  class Lane {
   public:
    explicit __device__ __forceinline__ Lane(int first) {
      const int lane = threadIdx.x % WARP_LANES, matrix = lane / MATRIX_LINES;
      const int index = first + (IS_A ? matrix % 2 : matrix / 2) * MATRIX_LINES + lane % MATRIX_LINES;
      const int chunk = IS_A ? matrix / 2 : matrix % 2;
      start = place(index, chunk * CHUNK<Element>) * static_cast<int>(sizeof(Element));
    }

    __device__ __forceinline__ void load(unsigned (&fragment)[4], const Element* tile, int i, int product) const {
      load_matrix_x4(fragment, at_byte(tile, start ^ product * FRAGMENT_BYTES) + i * FRAGMENT_INDICES * WIDTH);
    }

   private:
    int start;
  };
};

// Neighbours in memory are neighbouring indices; a line is one depth.
template <class Element, int INDICES, int DEPTH>
struct IndexContiguous {
  static constexpr int LINES = DEPTH, WIDTH = INDICES, PERIOD = MATRIX_LINES;

  static __device__ __forceinline__ int place(int depth, int index) {
    const int chunk = index / CHUNK<Element> ^ depth % PERIOD;
    return depth * WIDTH + chunk * CHUNK<Element> + index % CHUNK<Element>;
  }

  template <bool IS_A>
  class Lane {
   public:
    explicit __device__ __forceinline__ Lane(int first) {
      const int lane = threadIdx.x % WARP_LANES, matrix = lane / MATRIX_LINES;
      const int depth = (IS_A ? matrix / 2 : matrix % 2) * MATRIX_LINES + lane % MATRIX_LINES;
      const int index = first + (IS_A ? matrix % 2 : matrix / 2) * MATRIX_LINES;
      start = place(depth, index) * static_cast<int>(sizeof(Element));
    }

    __device__ __forceinline__ void load(unsigned (&fragment)[4], const Element* tile, int i, int product) const {
      load_matrix_x4_transposed(fragment,
                                at_byte(tile, start ^ i * FRAGMENT_BYTES) + product * FRAGMENT_INDICES * WIDTH);
    }

   private:
    int start;
  };
};

// ldmatrix transposes 16-bit elements only, so TF32 factors are read one by one: 8 indices, which are two chunks, of 4
// depths at once. The shift keeps those pairs of chunks apart.
template <int INDICES, int DEPTH>
struct IndexContiguous<float, INDICES, DEPTH> {
  static constexpr int LINES = DEPTH, WIDTH = INDICES, PERIOD = 4;

  static __device__ __forceinline__ int place(int depth, int index) {
    const int chunk = index / CHUNK<float> ^ depth % PERIOD * 2;
    return depth * WIDTH + chunk * CHUNK<float> + index % CHUNK<float>;
  }

  template <bool IS_A>
  class Lane {
   public:
    explicit __device__ __forceinline__ Lane(int first) {
      const int lane = threadIdx.x % WARP_LANES;
      start = place(lane % PERIOD, first + lane / PERIOD) * static_cast<int>(sizeof(float));
    }

    __device__ __forceinline__ void load(unsigned (&fragment)[4], const float* tile, int i, int product) const {
      constexpr int PAIRS = 4;  // of chunks that change places among themselves
#pragma unroll
      for (int matrix = 0; matrix < 4; ++matrix) {
        const int pair = i * 2 + (IS_A ? matrix % 2 : matrix / 2);
        const int depth = (product * 2 + (IS_A ? matrix / 2 : matrix % 2)) * PERIOD;
        const float* from = at_byte(tile, start ^ pair % PAIRS * FRAGMENT_BYTES);
        fragment[matrix] = __float_as_uint(from[pair / PAIRS * PAIRS * MATRIX_LINES + depth * WIDTH]);
      }
    }

   private:
    int start;
  };
};

// What a warp multiplies at once: its rows of A and its columns of B, one product deep. TF32 factors come from memory
// as float32 and are rounded right before their use, which costs no memory traffic.
template <class Shape>
struct Fragments {
  static constexpr int ROW_FRAGMENTS = Shape::WARP_ROWS / FRAGMENT_INDICES;
  static constexpr int COLUMN_FRAGMENTS = Shape::WARP_COLUMNS / FRAGMENT_INDICES;
  unsigned rows[ROW_FRAGMENTS][4];
  unsigned columns[COLUMN_FRAGMENTS][4];
};

template <class Element>
__device__ __forceinline__ void round_factors(unsigned (&fragment)[4]) {
  if constexpr (sizeof(Element) == 4) {
#pragma unroll
    for (unsigned& factor : fragment) factor = round_to_tf32(__uint_as_float(factor));
  }
}

// A warp's quarter of the tile, as the 16 x 8 results of tensor-core products.
template <class Shape>
struct Sums {
  static constexpr int ROW_TILES = Shape::WARP_ROWS / 16, COLUMN_TILES = Shape::WARP_COLUMNS / 8;
  float of[ROW_TILES][COLUMN_TILES][4] = {};

  __device__ __forceinline__ void add_row(int i, const Fragments<Shape>& factors) {
#pragma unroll
    for (int j = 0; j < COLUMN_TILES; ++j) {
      const unsigned(&pair)[4] = factors.columns[j / 2];
      const unsigned column[2] = {pair[j % 2 * 2], pair[j % 2 * 2 + 1]};
      TensorCore<typename Shape::Element>::multiply(of[i][j], factors.rows[i], column);
    }
  }
};

template <class Shape>
__device__ __forceinline__ int first_row_of_warp() {
  return threadIdx.x / WARP_LANES / Shape::WARPS_ACROSS * Shape::WARP_ROWS;
}

template <class Shape>
__device__ __forceinline__ int first_column_of_warp() {
  return threadIdx.x / WARP_LANES % Shape::WARPS_ACROSS * Shape::WARP_COLUMNS;
}

// The sum of `steps` products. load(rows, columns) starts to copy the next pieces of A and B into shared memory;
// visit(columns) sees each piece of B there. Afterwards nobody reads `shared` any more.
template <class Shape, class RowLayout, class ColumnLayout, class Load, class Visit>
__device__ __forceinline__ void sum_products(Sums<Shape>& sums, typename Shape::Element* shared, int steps, Load load,
                                             Visit visit) {
  const typename RowLayout::template Lane<true> row_lane(first_row_of_warp<Shape>());
  const typename ColumnLayout::template Lane<false> column_lane(first_column_of_warp<Shape>());
  const auto stage = [=](int number) { return shared + number * Shape::STAGE_ELEMENTS; };
  const auto fill = [&](int number) { load(stage(number), stage(number) + Shape::ROWS * Shape::DEPTH); };
  if (steps == 0) return;

#pragma unroll
  for (int number = 0; number < Shape::STAGES - 1; ++number) {
    if (number < steps) fill(number);
    copy_async_commit();  // even when empty: the waits below count groups
  }
  copy_async_wait<Shape::STAGES - 2>();
  __syncthreads();

  // Adds the products of `now` while `next` is loaded, row after row, so that registers of one can follow the other's.
  const auto multiply = [&](Fragments<Shape>& now, Fragments<Shape>& next, int number, int product, bool more) {
    const typename Shape::Element* rows = stage(number);
    const typename Shape::Element* columns = rows + Shape::ROWS * Shape::DEPTH;
#pragma unroll
    for (int j = 0; j < Fragments<Shape>::COLUMN_FRAGMENTS; ++j) {
      if (more) column_lane.load(next.columns[j], columns, j, product);
      round_factors<typename Shape::Element>(now.columns[j]);
    }
#pragma unroll
    for (int i = 0; i < Fragments<Shape>::ROW_FRAGMENTS; ++i) {
      if (more) row_lane.load(next.rows[i], rows, i, product);
      round_factors<typename Shape::Element>(now.rows[i]);
      sums.add_row(i, now);
    }
  };

  Fragments<Shape> even, odd;
#pragma unroll
  for (int j = 0; j < Fragments<Shape>::COLUMN_FRAGMENTS; ++j)
    column_lane.load(even.columns[j], stage(0) + Shape::ROWS * Shape::DEPTH, j, 0);
#pragma unroll
  for (int i = 0; i < Fragments<Shape>::ROW_FRAGMENTS; ++i) row_lane.load(even.rows[i], stage(0), i, 0);

  int reading = 0, writing = Shape::STAGES - 1;
  for (int step = 0; step < steps; ++step) {
    if (step + Shape::STAGES - 1 < steps) fill(writing);
    copy_async_commit();
    visit(stage(reading) + Shape::ROWS * Shape::DEPTH);
    multiply(even, odd, reading, 1, true);

    copy_async_wait<Shape::STAGES - 2>();
    __syncthreads();  // the next stage is there, and this one, which the next copies overwrite, has been read
    reading = reading + 1 == Shape::STAGES ? 0 : reading + 1;
    writing = writing + 1 == Shape::STAGES ? 0 : writing + 1;
    multiply(odd, even, reading, 0, step + 1 < steps);
  }
}

// Which tile a block computes. Neighbouring blocks run at the same time; taking BAND rows of tiles together, one column
// after the other, they share both operands in the second-level cache.
struct TilePosition {
  int row, column;
};

__device__ __forceinline__ TilePosition tile_position(int block, int tile_rows, int tile_columns) {
  constexpr int BAND = 8;
  const int first_row = block / (BAND * tile_columns) * BAND;
  const int rows = min(BAND, tile_rows - first_row);
  const int within = block - first_row * tile_columns;
  return {first_row + within % rows, within / rows};
}
