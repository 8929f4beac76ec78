// ldmatrix and mma.sync: PTX ISA 8.0, "Warp-level matrix instructions". kernels/primitives_tensor.cuh draws the
// fragments.
#include <cstring>

#include "block.h"

namespace emulator {

namespace {

constexpr int MATRIX_ROWS = 8;  // of the matrices that ldmatrix loads, which have as many columns
constexpr int ROW_BYTES = 16;
constexpr int ELEMENT_BYTES = 2;
constexpr int PRODUCT_ROWS = 16;
constexpr int PRODUCT_COLUMNS = 8;
constexpr int LARGEST_DEPTH = 16;

// Which lane holds an element of an 8 x 8 matrix after a load.
int receiver_of(int row, int column, bool transposed) {
  return transposed ? column * 4 + row / 2 : row * 4 + column / 2;
}

double from_bfloat16(uint32_t bits) {
  const uint32_t wide = bits << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

double from_float16(uint32_t bits) {
  const uint16_t narrow = static_cast<uint16_t>(bits);
  _Float16 value;
  std::memcpy(&value, &narrow, sizeof value);
  return static_cast<float>(value);
}

double from_tf32(uint32_t bits) {
  const uint32_t kept = bits & ~0x1fffu;
  float value;
  std::memcpy(&value, &kept, sizeof value);
  return value;
}

// The operands of a whole warp as two matrices.
struct Matrices {
  double a[PRODUCT_ROWS][LARGEST_DEPTH];
  double b[LARGEST_DEPTH][PRODUCT_COLUMNS];
  int depth;

  // Two elements a register, next to each other in A's rows and B's columns.
  template <double decode(uint32_t bits)>
  void place_pairs(int lane, const MatrixOperands& its) {
    const int row = lane / 4, column = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      const auto element = [&](uint32_t pair) { return decode(pair >> (16 * half) & 0xffffu); };
      for (int i = 0; i < 4; ++i) a[row + i % 2 * 8][column + i / 2 * 8 + half] = element(its.a[i]);
      for (int i = 0; i < 2; ++i) b[column + i * 8 + half][row] = element(its.b[i]);
    }
    depth = 16;
  }

  void place_tf32(int lane, const MatrixOperands& its) {
    const int row = lane / 4, column = lane % 4;
    for (int i = 0; i < 4; ++i) a[row + i % 2 * 8][column + i / 2 * 4] = from_tf32(its.a[i]);
    for (int i = 0; i < 2; ++i) b[column + i * 4][row] = from_tf32(its.b[i]);
    depth = 8;
  }
};

}  // namespace

void Block::require_whole_warp(unsigned lanes, const WarpRequest& request) {
  if (lanes == ~0u) return;
  findings().add(format("%s needs all 32 lanes of a warp", name_of(request.operation)), Place(request.where),
                 format("lanes %08x are there, %s", lanes, current_thread_name().c_str()));
  stop();
}

void Block::check_matrix_row(const WarpRequest& request, int row, int first_thread) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(request_of(first_thread + row).input);
  const bool transposed = request.operation == WarpOperation::load_matrix_transposed;
  Access access = {address, ROW_BYTES, false, false, first_thread + row, number_, 0, request.where};
  if (!shared_memory_.contains(address)) {
    findings().add(format("%s reads outside shared memory", name_of(request.operation)), access.place(),
                   format("the row of lane %d, %s", row, current_thread_name().c_str()));
    stop();
  }
  if (!access.aligned()) {
    findings().add(format("a row of %s is not aligned to 16 bytes", name_of(request.operation)), access.place(),
                   format("address %zu, the row of lane %d, %s", address % 128, row, current_thread_name().c_str()));
    stop();
  }
  if (launch_.recording) record(access);
  // What a lane gets is read on its behalf: that lane must be ordered after whoever wrote it.
  const int elements = transposed ? 1 : 2;  // of this row, a lane
  access.bytes = elements * ELEMENT_BYTES;
  for (int column = 0; column < MATRIX_ROWS; column += elements) {
    access.address = address + column * ELEMENT_BYTES;
    access.thread = first_thread + receiver_of(row % MATRIX_ROWS, column, transposed);
    check(access);
  }
}

void Block::load_matrices(int first_thread) {
  const WarpRequest& request = request_of(first_thread);
  const bool transposed = request.operation == WarpOperation::load_matrix_transposed;
  const int matrices = static_cast<int>(request.bytes / sizeof(uint32_t));
  for (int row = 0; row < matrices * MATRIX_ROWS; ++row) {
    if (checks()) check_matrix_row(request, row, first_thread);
    const auto* elements = static_cast<const unsigned char*>(request_of(first_thread + row).input);
    for (int column = 0; column < MATRIX_ROWS; ++column) {
      const int receiver = receiver_of(row % MATRIX_ROWS, column, transposed);
      const int half = transposed ? row % 2 : column % 2;
      auto* registers = static_cast<unsigned char*>(request_of(first_thread + receiver).output);
      std::memcpy(registers + row / MATRIX_ROWS * sizeof(uint32_t) + half * ELEMENT_BYTES,
                  elements + column * ELEMENT_BYTES, ELEMENT_BYTES);
    }
  }
}

void Block::multiply_matrices(int first_thread) {
  Matrices matrices;
  for (int lane = 0; lane < WARP_LANES; ++lane) {
    const WarpRequest& request = request_of(first_thread + lane);
    const auto& operands = *static_cast<const MatrixOperands*>(request.input);
    if (request.operation == WarpOperation::multiply_bfloat16)
      matrices.place_pairs<from_bfloat16>(lane, operands);
    else if (request.operation == WarpOperation::multiply_float16)
      matrices.place_pairs<from_float16>(lane, operands);
    else
      matrices.place_tf32(lane, operands);
  }
  // Products of these types are exact in double.
  double sums[PRODUCT_ROWS][PRODUCT_COLUMNS] = {};
  for (int row = 0; row < PRODUCT_ROWS; ++row)
    for (int k = 0; k < matrices.depth; ++k)
      for (int column = 0; column < PRODUCT_COLUMNS; ++column)
        sums[row][column] += matrices.a[row][k] * matrices.b[k][column];
  for (int lane = 0; lane < WARP_LANES; ++lane) {
    const WarpRequest& request = request_of(first_thread + lane);
    const float* before = static_cast<const MatrixOperands*>(request.input)->d;
    float* d = static_cast<float*>(request.output);
    for (int i = 0; i < 4; ++i)
      d[i] = static_cast<float>(before[i] + sums[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]);
  }
}

}  // namespace emulator
