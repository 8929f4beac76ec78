// What a kernel's library, the runtime and Python say to each other: plain structures and C functions.
#pragma once
#include <cstddef>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace emulator {

constexpr int WARP_LANES = 32;

struct Machine;

// Which CUDA thread runs: what threadIdx, blockIdx, blockDim and gridDim read.
struct ThreadIdentity {
  uint3 thread, block;
  dim3 block_size, grid_size;
};

// A line of a kernel. As a default argument, here() is the line of the call.
struct Location {
  const char* file;
  int line;
  static constexpr Location here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// What __syncthreads and its variants make of the predicates of all threads.
enum class Vote : int { none, any, all, count };

// What the lanes of a warp do together. A new one is a value here and a branch in Block::perform, and finds the
// operands of all lanes through their requests.
enum class WarpOperation : int {
  synchronize,
  shuffle,
  shuffle_up,
  shuffle_down,
  shuffle_xor,
  ballot,
  load_matrix,
  load_matrix_transposed,
  multiply_bfloat16,
  multiply_float16,
  multiply_tf32,
};

// One lane's part in a warp operation; the memory behind the pointers lives on that lane's stack while it waits.
struct WarpRequest {
  WarpOperation operation;
  unsigned mask;
  const void* input;
  void* output;
  size_t bytes;   // of output, and of what a shuffle takes in
  int parameter;  // shuffles: the source lane, or the distance to it
  int width;      // shuffles: lanes of a segment
  Location where;
};

// One lane's part of a tensor-core product: kernels/primitives_tensor.cuh says which elements it holds.
struct MatrixOperands {
  uint32_t a[4], b[2];
  float d[4];
};

enum class AtomicOperation : int {
  add,
  add_floating,
  bitwise_and,
  bitwise_or,
  minimum_signed,
  minimum_unsigned,
  maximum_signed,
  maximum_unsigned,
  exchange,
  compare_exchange,
};

// One array argument of a launch. Rows of `row_bytes` start every `pitch_bytes`: a slice of the channels of a wider
// array has gaps, which do not belong to it. Mirrored in interface.py.
struct Buffer {
  const char* name;
  uint64_t address;
  uint64_t bytes;  // from the first byte of the first row to the last byte of the last
  uint64_t row_bytes;
  uint64_t pitch_bytes;
  uint32_t element_bytes;
  uint32_t writable;
  uint32_t output;  // every element is written exactly once
};

// The traffic of one instruction, of all warps and blocks. Mirrored in profile.py, as is RecordedBuffer.
struct RecordedAccess {
  uint64_t code_address;  // counted from the library's base; 0 when file and line are known
  const char* file;
  uint32_t line;
  uint32_t shared;  // memory; otherwise global
  uint32_t write;
  uint32_t bytes;  // of one lane
  uint64_t requests, lanes;
  uint64_t wavefronts, ideal_wavefronts;
  uint64_t sectors, ideal_sectors;
};

// The traffic of one array argument: how many of its bytes were touched at all, and how many moved in sectors.
struct RecordedBuffer {
  uint64_t bytes_read, bytes_written;
  uint64_t sector_bytes_read, sector_bytes_written;
};

enum class Schedule : uint32_t { forward, reverse, random };

// When an asynchronous copy is carried out: at once, or at the wait that covers it. The hardware may do either.
enum class CopyTiming : uint32_t { early, late };

// Everything about one launch. Mirrored in interface.py.
struct LaunchRequest {
  void (*kernel)(void** arguments);
  char* (*shared_memory_anchor)();
  void** arguments;
  uint32_t grid[3];
  uint32_t block[3];
  uint64_t dynamic_shared_bytes;
  uint64_t seed;
  Schedule schedule;
  CopyTiming copies;
  uint32_t check;
  uint32_t record;  // addresses, in the check build only
  uint64_t buffer_count;
  const Buffer* buffers;
  char* report;
  uint64_t report_capacity;
};

}  // namespace emulator

extern "C" {
// Called by Python. A machine runs one launch at a time.
emulator::Machine* emulator_open(unsigned workers);
void emulator_close(emulator::Machine* machine);
// Runs the grid and returns the number of different findings, whose text goes to request->report.
int emulator_launch(emulator::Machine* machine, const emulator::LaunchRequest* request);
// What the last launch recorded, until the next one: one item for each instruction, and for each of its buffers.
uint64_t emulator_recorded_accesses(emulator::Machine* machine, const emulator::RecordedAccess** first);
uint64_t emulator_recorded_buffers(emulator::Machine* machine, const emulator::RecordedBuffer** first);

// Called by kernels, through the functions of cuda_host.h.
// initial-exec: one load instead of a function call each time a kernel reads threadIdx.
extern __thread const emulator::ThreadIdentity* emulator_current_thread __attribute__((tls_model("initial-exec")));
int emulator_block_barrier(emulator::Vote vote, int predicate, emulator::Location where);
void emulator_warp_operation(const emulator::WarpRequest* request);
unsigned char* emulator_dynamic_shared_memory();
uint32_t emulator_atomic_32(emulator::AtomicOperation operation, void* target, uint32_t value, uint32_t compare,
                            emulator::Location where);
uint64_t emulator_atomic_64(emulator::AtomicOperation operation, void* target, uint64_t value, uint64_t compare,
                            emulator::Location where);
void emulator_copy_async(void* shared, const void* global, size_t bytes, bool exists, emulator::Location where);
void emulator_copy_async_commit();
void emulator_copy_async_wait(unsigned groups_left);
void emulator_assertion_failed(const char* condition, emulator::Location where);

// Moves on whenever it is looked at: what waits for it ends, after as many looks at every run.
long long emulator_clock();
}
