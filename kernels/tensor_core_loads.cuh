// From images and filters in global memory to the operands of tensor_core_tile.cuh: the matrices of an implicit GEMM,
// of which only the pieces that a block multiplies are ever written down.
//
// A piece is what a thread copies at once: neighbouring channels of one pixel, or neighbouring filters of one tap.
//   aligned     a 16-byte chunk by cp.async; channels, pitches and addresses are multiples of a chunk
//   otherwise   4 elements, by a smaller cp.async where the operand allows it, else one by one through registers. The
//               channels of a tap are padded to a multiple of 4 in the depth of the product, so that an image of 3
//               channels runs on tensor cores too.
#pragma once

#include "tensor_core_tile.cuh"
#include "vectors.cuh"

constexpr int SMALL_PIECE = 4;
// In place of a row: two of them, or one and any distance within an image, are no row of an image either.
constexpr int FAR_OUTSIDE = -(1 << 30);

// How a kernel cuts its operands into pieces, beside how it cuts the product into tiles.
template <class Shape_, bool IS_ALIGNED_>
struct Cut : Shape_ {
  using Shape = Shape_;
  static constexpr bool IS_ALIGNED = IS_ALIGNED_;
  static constexpr int PIECE = IS_ALIGNED ? CHUNK<typename Shape::Element> : SMALL_PIECE;
};

// An array of rows of channels, or of filters; `count` of them belong to this block's group.
template <class Element>
struct Channels {
  const Element* first;
  unsigned pitch_bytes;  // two rows of less than 2^31 elements are less than 2^32 bytes apart
  int count;
  bool in_pieces;  // 4 of them may be copied together, everywhere

  // The same without the first `columns`.
  __device__ __forceinline__ Channels from(int columns) const {
    return {first + columns, pitch_bytes, count - columns, in_pieces};
  }

  __device__ __forceinline__ const Element* at(int row, int column = 0) const {
    const unsigned long long offset = static_cast<unsigned long long>(static_cast<unsigned>(row)) * pitch_bytes;
    return reinterpret_cast<const Element*>(reinterpret_cast<const unsigned char*>(first + column) + offset);
  }
};

template <class Element>
__device__ __forceinline__ Channels<Element> channels_of_group(const Element* array, int pitch, int count) {
  const Element* first = array + blockIdx.y * count;
  const bool is_aligned = reinterpret_cast<unsigned long long>(array) % (SMALL_PIECE * sizeof(Element)) == 0;
  return {first, static_cast<unsigned>(pitch) * static_cast<unsigned>(sizeof(Element)), count,
          is_aligned && pitch % SMALL_PIECE == 0 && count % SMALL_PIECE == 0};
}

// The channels that a tap takes in the depth (or the rows) of the product.
template <class Cut>
__device__ __forceinline__ int padded_channels(int count) {
  return Cut::IS_ALIGNED ? count : (count + SMALL_PIECE - 1) / SMALL_PIECE * SMALL_PIECE;
}

// Where a piece comes from. The first `left` elements exist (none below 1); zeros take the place of the others.
template <class Element>
struct Piece {
  const Element* from;
  int left;
};

// How the threads share the copies of a stage of an operand: a thread has the same place in every STRIDE-th line.
template <class Cut, class Layout>
struct Share {
  static constexpr int PIECES_A_LINE = Layout::WIDTH / Cut::PIECE;
  static constexpr int STRIDE = Cut::THREADS / PIECES_A_LINE;
  static constexpr int COUNT = Layout::LINES / STRIDE;
  static_assert(COUNT * STRIDE == Layout::LINES, "every thread copies as many pieces");
  static_assert(STRIDE % Layout::PERIOD == 0, "a thread's pieces are equally far apart");

  // The first of the thread's lines, the first element of its pieces, and where the i-th piece goes.
  static __device__ __forceinline__ int line() { return threadIdx.x / PIECES_A_LINE; }
  static __device__ __forceinline__ int element() { return threadIdx.x % PIECES_A_LINE * Cut::PIECE; }
  static __device__ __forceinline__ int place(int i) {
    return Layout::place(line(), element()) + i * STRIDE * Layout::WIDTH;
  }

  // Copies the thread's pieces: piece_of(i) is called once for each, in order. Copies through registers are all read
  // before the first is written, so that they wait for global memory together.
  template <class PieceOf>
  static __device__ __forceinline__ void copy(typename Cut::Element* tile, bool in_pieces, PieceOf piece_of) {
    using Element = typename Cut::Element;
    if (Cut::IS_ALIGNED || in_pieces) {
#pragma unroll
      for (int i = 0; i < COUNT; ++i) {
        const Piece<Element> piece = piece_of(i);
        copy_async<Cut::PIECE * static_cast<int>(sizeof(Element))>(tile + place(i), piece.from, piece.left > 0);
      }
    } else {
      Vector<Element, SMALL_PIECE> values[COUNT];
#pragma unroll
      for (int i = 0; i < COUNT; ++i) {
        const Piece<Element> piece = piece_of(i);
#pragma unroll
        for (int j = 0; j < SMALL_PIECE; ++j) values[i][j] = j < piece.left ? piece.from[j] : Element{};
      }
#pragma unroll
      for (int i = 0; i < COUNT; ++i) store_vector(tile + place(i), values[i]);
    }
  }
};

// One direction of a walk over images: position i meets tap t in row i * scale + origin + t * step of `size` rows.
struct Axis {
  int positions, taps;
  int scale, origin, step;
  int size;

  __device__ __forceinline__ int first(int position) const { return position * scale + origin; }
};

struct Walk {
  Axis rows, columns;
};

__device__ __forceinline__ bool is_inside(int at, const Axis& axis) {
  return static_cast<unsigned>(at) < static_cast<unsigned>(axis.size);
}

// A place in a depth that runs over the taps and, within each, over the channels.
template <class Cut>
struct TapCursor {
  int row, column, channel;

  // The place of this thread's pieces in a line that starts at `depth`.
  __device__ __forceinline__ TapCursor(const Walk& walk, int channels, int depth) {
    const int tap = depth / channels, across = max(walk.columns.taps, 1);  // a phase of a stride may have no taps
    row = tap / across;
    column = tap % across;
    channel = depth % channels;
  }

  // Goes on by a stage; true when it meets another tap.
  __device__ __forceinline__ bool advance(const Walk& walk, int channels) {
    channel += Cut::DEPTH;
    if (channel < channels) return false;
    do {
      channel -= channels;
      if (++column == walk.columns.taps) {
        column = 0;
        ++row;
      }
    } while (channel >= channels);
    return true;
  }
};

// Rows of the product are positions of the walk, depth is taps and channels: the patches of a convolution.
template <class Cut>
class Patches {
 public:
  using Layout = DepthContiguous<typename Cut::Element, Cut::ROWS, Cut::DEPTH>;
  using Lines = Share<Cut, Layout>;

  __device__ __forceinline__ Patches(const Walk& walk, int first_position, int positions) {
#pragma unroll
    for (int i = 0; i < Lines::COUNT; ++i) {
      const int line = Lines::line() + i * Lines::STRIDE;
      const bool exists = line < positions - first_position;
      const int position = exists ? first_position + line : first_position;
      const int row = position / walk.columns.positions, image = row / walk.rows.positions;
      const int row_of_image = walk.rows.first(row - image * walk.rows.positions);
      first_row[i] = exists ? row_of_image : FAR_OUTSIDE;
      first_column[i] = walk.columns.first(position - row * walk.columns.positions);
      first_pixel[i] = (image * walk.rows.size + row_of_image) * walk.columns.size + first_column[i];
    }
  }

  __device__ __forceinline__ void move_to(const Walk& walk, const TapCursor<Cut>& cursor) {
    const int down = cursor.row * walk.rows.step, right = cursor.column * walk.columns.step;
    const int row_offset = cursor.row < walk.rows.taps ? down : FAR_OUTSIDE;
    away = down * walk.columns.size + right;
    inside = 0;
#pragma unroll
    for (int i = 0; i < Lines::COUNT; ++i)
      if (is_inside(first_row[i] + row_offset, walk.rows) && is_inside(first_column[i] + right, walk.columns))
        inside |= 1 << i;
  }

  __device__ __forceinline__ void load(typename Cut::Element* tile, const Channels<typename Cut::Element>& x,
                                       int channel) const {
    Lines::copy(tile, x.in_pieces, [&](int i) {
      const int left = inside >> i & 1 ? x.count - channel : 0;
      return Piece<typename Cut::Element>{x.at(first_pixel[i] + away, channel), left};
    });
  }

 private:
  // The pixel that each line meets with the first tap, which need not lie in the image.
  int first_row[Lines::COUNT], first_column[Lines::COUNT], first_pixel[Lines::COUNT];
  // How many pixels further it is with the present tap, and a bit for each line whose pixel lies in the image.
  int away, inside;
};

// The part of the depth that one of `splits` blocks sums up, in stages.
struct Part {
  int first, steps;
};

template <class Cut>
__device__ __forceinline__ Part part_of_depth(int depth, int split, int splits) {
  const int all = (depth + Cut::DEPTH - 1) / Cut::DEPTH, each = (all + splits - 1) / splits;
  const int first = split * each;
  return {first, max(0, min(each, all - first))};
}

// The choices of TILE: rows x columns of a tile, and how operands are cut into pieces.
namespace tiles {
template <class Element>
using aligned_128x128 = Cut<TileShape<Element, 128, 128>, true>;
template <class Element>
using aligned_128x64 = Cut<TileShape<Element, 128, 64>, true>;
template <class Element>
using aligned_64x64 = Cut<TileShape<Element, 64, 64>, true>;
template <class Element>
using padded_128x64 = Cut<TileShape<Element, 128, 64>, false>;
template <class Element>
using padded_64x64 = Cut<TileShape<Element, 64, 64>, false>;
}  // namespace tiles
