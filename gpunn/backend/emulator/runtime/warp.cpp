// Operations that the lanes of a warp carry out together: the last lane to arrive does the work for all.
#include <cstring>

#include "block.h"

namespace emulator {

const char* name_of(WarpOperation operation) {
  switch (operation) {
    case WarpOperation::synchronize: return "__syncwarp";
    case WarpOperation::shuffle: return "__shfl_sync";
    case WarpOperation::shuffle_up: return "__shfl_up_sync";
    case WarpOperation::shuffle_down: return "__shfl_down_sync";
    case WarpOperation::shuffle_xor: return "__shfl_xor_sync";
    case WarpOperation::ballot: return "__ballot_sync";
    case WarpOperation::load_matrix: return "load_matrix";
    case WarpOperation::load_matrix_transposed: return "load_matrix_transposed";
    case WarpOperation::multiply_bfloat16: return "TensorCore<bfloat16>::multiply";
    case WarpOperation::multiply_float16: return "TensorCore<float16>::multiply";
    case WarpOperation::multiply_tf32: return "TensorCore<float>::multiply";
  }
  return "warp operation";
}

namespace {

// Calls visit(lane) for every bit that is set.
template <class Visit>
void for_each_lane(unsigned lanes, Visit visit) {
  for (; lanes; lanes &= lanes - 1) visit(__builtin_ctz(lanes));
}

// The lane whose value a shuffle gives to `lane`; CUDA C++ Programming Guide, "Warp Shuffle Functions".
int source_lane(const WarpRequest& request, int lane) {
  const int width = request.width, segment = lane & ~(width - 1), parameter = request.parameter;
  switch (request.operation) {
    case WarpOperation::shuffle: return segment + (parameter & (width - 1));
    case WarpOperation::shuffle_up: return lane - parameter < segment ? lane : lane - parameter;
    case WarpOperation::shuffle_down: return lane + parameter >= segment + width ? lane : lane + parameter;
    default: return (lane ^ parameter) >= segment + width ? lane : lane ^ parameter;
  }
}

}  // namespace

void Block::warp_operation(const WarpRequest& request) {
  const int lane = current_ % WARP_LANES, first_thread = current_ - lane;
  Warp& warp = warps_[current_ / WARP_LANES];
  Thread& thread = threads_[current_];
  if (!(request.mask >> lane & 1)) {
    findings().add(format("%s by a lane that its mask leaves out", name_of(request.operation)), Place(request.where),
                   format("mask %08x, lane %d", request.mask, lane));
    stop();
  }
  const unsigned lanes = request.mask & warp.present;
  if (lanes & warp.finished) {
    findings().add(format("not all lanes reach %s", name_of(request.operation)), Place(request.where),
                   format("mask %08x, lanes %08x have left the kernel", request.mask, lanes & warp.finished));
    stop();
  }
  thread.warp_request = &request;
  warp.waiting |= 1u << lane;
  if ((warp.waiting & lanes) != lanes) {
    wait(State::at_warp_operation, request.where);
    return;
  }
  for_each_lane(lanes, [&](int other) {
    const WarpRequest& its = *threads_[first_thread + other].warp_request;
    if (its.operation == request.operation && its.mask == request.mask && its.where.line == request.where.line) return;
    findings().add("lanes of a warp meet in different operations", Place(request.where),
                   format("lane %d in %s with mask %08x, lane %d in %s with mask %08x at %s", lane,
                          name_of(request.operation), request.mask, other, name_of(its.operation), its.mask,
                          Place(its.where).text().c_str()));
    stop();
  });
  perform(lanes, first_thread);
  warp.waiting &= ~lanes;
  for_each_lane(lanes, [&](int other) { threads_[first_thread + other].state = State::ready; });
}

void Block::perform(unsigned lanes, int first_thread) {
  Warp& warp = warps_[first_thread / WARP_LANES];
  const WarpRequest& first_request = request_of(first_thread + __builtin_ctz(lanes));
  switch (first_request.operation) {
    case WarpOperation::synchronize:
      // A __syncwarp of some lanes is not counted as ordering anything: a finding about it asks for a wider mask.
      if (lanes == warp.present) ++warp.phase;
      return;
    case WarpOperation::ballot: return vote(lanes, first_thread);
    case WarpOperation::load_matrix:
    case WarpOperation::load_matrix_transposed:
      require_whole_warp(lanes, first_request);
      return load_matrices(first_thread);
    case WarpOperation::multiply_bfloat16:
    case WarpOperation::multiply_float16:
    case WarpOperation::multiply_tf32:
      require_whole_warp(lanes, first_request);
      return multiply_matrices(first_thread);
    default: return shuffle(lanes, first_thread);
  }
}

void Block::vote(unsigned lanes, int first_thread) {
  unsigned votes = 0;
  for_each_lane(lanes, [&](int lane) {
    if (*static_cast<const int*>(request_of(first_thread + lane).input)) votes |= 1u << lane;
  });
  for_each_lane(lanes,
                [&](int lane) { *static_cast<unsigned*>(request_of(first_thread + lane).output) = votes; });
}

void Block::shuffle(unsigned lanes, int first_thread) {
  for_each_lane(lanes, [&](int lane) {
    const WarpRequest& request = request_of(first_thread + lane);
    const int source = source_lane(request, lane);
    if (lanes >> source & 1) {
      std::memcpy(request.output, request_of(first_thread + source).input, request.bytes);
      return;
    }
    findings().add(format("%s reads a lane that takes no part", name_of(request.operation)), Place(request.where),
                   format("lane %d reads lane %d, mask %08x", lane, source, request.mask));
    std::memset(request.output, 0xff, request.bytes);
  });
}

}  // namespace emulator
