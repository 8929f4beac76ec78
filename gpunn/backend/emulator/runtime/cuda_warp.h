// What the lanes of a warp do together.
#pragma once
#include <type_traits>

#include "interface.h"

inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATOR_HERE) {
  const emulator::WarpRequest request = {emulator::WarpOperation::synchronize, mask, nullptr, nullptr, 0, 0, 0, where};
  emulator_warp_operation(&request);
}

namespace emulator {

template <class T>
T shuffle(WarpOperation operation, unsigned mask, T value, int parameter, int width, Location where) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "a shuffle moves a number of 4 or 8 bytes");
  T result;
  const WarpRequest request = {operation, mask, &value, &result, sizeof(T), parameter, width, where};
  emulator_warp_operation(&request);
  return result;
}

// The matrix loads and products of kernels/primitives_tensor.cuh, which want the whole warp.
template <int MATRICES>
void load_matrix(WarpOperation operation, unsigned (&registers)[MATRICES], const void* row, Location where) {
  const WarpRequest request = {operation, 0xffffffffu, row, registers, sizeof registers, 0, 0, where};
  emulator_warp_operation(&request);
}

inline void multiply(WarpOperation operation, float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     Location where) {
  const MatrixOperands operands = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {d[0], d[1], d[2], d[3]}};
  const WarpRequest request = {operation, 0xffffffffu, &operands, d, sizeof d, 0, 0, where};
  emulator_warp_operation(&request);
}

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle, mask, value, lane, width, where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle_up, mask, value, static_cast<int>(distance), width, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle_down, mask, value, static_cast<int>(distance), width,
                           where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, EMULATOR_HERE) {
  return emulator::shuffle(emulator::WarpOperation::shuffle_xor, mask, value, lane_mask, width, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  unsigned votes;
  const emulator::WarpRequest request = {
      emulator::WarpOperation::ballot, mask, &predicate, &votes, sizeof votes, 0, 0, where};
  emulator_warp_operation(&request);
  return votes;
}
inline int __any_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  return __ballot_sync(mask, !predicate, where) == 0;
}
