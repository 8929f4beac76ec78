// Asynchronous copies, matrix loads and tensor-core products of compute capability 8.0 and later, each as PTX for the
// GPU beside its emulation. PTX ISA 8.0: sections "cp.async", "ldmatrix" and "mma".
//
// Fragments. Tensor cores compute D += A B with A of 16 x DEPTH, B of DEPTH x 8 and D of 16 x 8 elements, spread over
// the registers of a warp. With row = lane / 4 and column = lane % 4, and 16-bit elements in pairs (the lower half of a
// register is the left one of A, the upper one of B):
//   a[0], a[1]   rows `row` and `row + 8` of A, columns 2 * column and the next     (TF32: column)
//   a[2], a[3]   the same rows, 8 columns to the right                               (TF32: 4 columns to the right)
//   b[0], b[1]   column `row` of B, rows 2 * column and the next, then 8 below       (TF32: row column, then 4 below)
//   d[0], d[1]   row `row` of D, columns 2 * column and 2 * column + 1
//   d[2], d[3]   row `row + 8` of D, the same columns
// load_matrix gives A from rows of A, and B from rows of B transposed; load_matrix_transposed gives B from rows of B.
#pragma once

#include "primitives.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "primitives_tensor.cuh needs sm_80 or later: declare '// Architectures: sm_80 and later' in the .cu file"
#endif

// The last parameter of each primitive in the emulator: the line that calls it, for reports.
#ifdef GPUNN_EMULATOR
#define AND_CALLER , EMULATOR_HERE
#else
#define AND_CALLER
__device__ __forceinline__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}
#endif

// Starts to copy 4, 8 or 16 bytes from global to shared memory, both aligned to as many; zeros when !exists, and then
// nothing is read. What is copied may be read after copy_async_wait by the same thread, and after a barrier by others.
template <int BYTES>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool exists AND_CALLER) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "an asynchronous copy moves 4, 8 or 16 bytes");
#ifdef GPUNN_EMULATOR
  emulator_copy_async(shared, global, BYTES, exists, where);
#else
  const int bytes_read = exists ? BYTES : 0;
  if constexpr (BYTES == 16)  // past the first-level cache: shared memory takes its place
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(bytes_read)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)), "l"(global), "n"(BYTES),
                 "r"(bytes_read)
                 : "memory");
#endif
}

// Makes a group of this thread's copies since the last call.
__device__ __forceinline__ void copy_async_commit() {
#ifdef GPUNN_EMULATOR
  emulator_copy_async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the last GROUPS groups of this thread are under way.
template <int GROUPS>
__device__ __forceinline__ void copy_async_wait() {
#ifdef GPUNN_EMULATOR
  emulator_copy_async_wait(GROUPS);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

// Loads matrices of 8 x 8 16-bit elements from shared memory, one a register. Lane l names the row l % 8 of matrix
// l / 8: 16 bytes, aligned to 16. Each lane gets the elements of row lane / 4, columns 2 * (lane % 4) and the next.
__device__ __forceinline__ void load_matrix_x4(unsigned (&r)[4], const void* row AND_CALLER) {
#ifdef GPUNN_EMULATOR
  emulator::load_matrix(emulator::WarpOperation::load_matrix, r, row, where);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
#endif
}

// Two matrices; the rows that lanes 16 to 31 name do not count.
__device__ __forceinline__ void load_matrix_x2(unsigned (&r)[2], const void* row AND_CALLER) {
#ifdef GPUNN_EMULATOR
  emulator::load_matrix(emulator::WarpOperation::load_matrix, r, row, where);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
#endif
}

// The same with each matrix transposed: a lane gets rows 2 * (lane % 4) and the next of column lane / 4.
__device__ __forceinline__ void load_matrix_x4_transposed(unsigned (&r)[4], const void* row AND_CALLER) {
#ifdef GPUNN_EMULATOR
  emulator::load_matrix(emulator::WarpOperation::load_matrix_transposed, r, row, where);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
#endif
}

__device__ __forceinline__ void load_matrix_x2_transposed(unsigned (&r)[2], const void* row AND_CALLER) {
#ifdef GPUNN_EMULATOR
  emulator::load_matrix(emulator::WarpOperation::load_matrix_transposed, r, row, where);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
#endif
}

// A float as TF32, which has 10 bits of fraction: rounded to nearest, ties away from zero. Only the upper 19 bits of
// the result are meant; tensor cores ignore the lower 13, so adding half of the last place is enough: two
// instructions, where cvt.rna.tf32 becomes five or six on most architectures. Infinity and NaN stay what they are. A
// number below 2^-126, which has no such half, loses its lower bits.
__device__ __forceinline__ unsigned round_to_tf32(float x) {
  constexpr unsigned SIGN_AND_EXPONENT = 0xff800000u;
  constexpr float HALF_OF_LAST_PLACE = 1.0f / (1 << 11);  // of a number without a fraction
  return __float_as_uint(fmaf(__uint_as_float(__float_as_uint(x) & SIGN_AND_EXPONENT), HALF_OF_LAST_PLACE, x));
}

// The tensor-core product of one element type; float means TF32. All 32 lanes call multiply together.
// Sums are float32. The emulator adds the exact products in double and rounds once: the hardware may add them in
// another order, and cut off bits where it aligns them, so results agree exactly only where no sum is rounded.
template <class Element>
struct TensorCore;

template <>
struct TensorCore<bfloat16> {
  static constexpr int DEPTH = 16;  // columns of A, rows of B

  // d += a b
  static __device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4],
                                                  const unsigned (&b)[2] AND_CALLER) {
#ifdef GPUNN_EMULATOR
    emulator::multiply(emulator::WarpOperation::multiply_bfloat16, d, a, b, where);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
  }
};

template <>
struct TensorCore<float16> {
  static constexpr int DEPTH = 16;

  static __device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4],
                                                  const unsigned (&b)[2] AND_CALLER) {
#ifdef GPUNN_EMULATOR
    emulator::multiply(emulator::WarpOperation::multiply_float16, d, a, b, where);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
  }
};

// The lower 13 bits of each TF32 element do not count.
template <>
struct TensorCore<float> {
  static constexpr int DEPTH = 8;

  static __device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4],
                                                  const unsigned (&b)[2] AND_CALLER) {
#ifdef GPUNN_EMULATOR
    emulator::multiply(emulator::WarpOperation::multiply_tf32, d, a, b, where);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
  }
};

#undef AND_CALLER
