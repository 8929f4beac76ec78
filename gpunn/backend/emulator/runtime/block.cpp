#include "block.h"

#include <algorithm>
#include <map>
#include <numeric>

// initial-exec here too: thread-local memory of a library that was first used in another way, as by a kernel that reads
// no threadIdx, stays closed to every kernel that is loaded later.
#define INITIAL_EXEC __attribute__((tls_model("initial-exec")))

__thread const emulator::ThreadIdentity* emulator_current_thread INITIAL_EXEC = nullptr;

namespace emulator {

namespace {

thread_local Block* running_block INITIAL_EXEC = nullptr;

int thread_count(const LaunchRequest& request) { return request.block[0] * request.block[1] * request.block[2]; }

// The thread-local block of a library exists on an OS thread only after it was touched there.
Library library_with_shared_variables(const LaunchRequest& request) {
  request.shared_memory_anchor();
  return find_library(reinterpret_cast<const void*>(request.kernel));
}

}  // namespace

Block* Block::running() { return running_block; }

Block::Block(const Launch& launch, StackPool& stacks)
    : launch_(launch),
      library_(library_with_shared_variables(launch.request)),
      shared_memory_(library_, launch.request.dynamic_shared_bytes, launch.request.check != 0),
      stacks_(stacks),
      threads_(thread_count(launch.request)),
      copies_(threads_.size()),
      warps_((threads_.size() + WARP_LANES - 1) / WARP_LANES),
      order_(threads_.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  if (launch.request.schedule == Schedule::reverse) std::reverse(order_.begin(), order_.end());
}

void Block::begin(uint64_t number) {
  const LaunchRequest& request = launch_.request;
  const dim3 grid(request.grid[0], request.grid[1], request.grid[2]);
  const dim3 block(request.block[0], request.block[1], request.block[2]);
  const uint3 place = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                       static_cast<unsigned>(number / grid.x / grid.y)};
  for (unsigned i = 0; i < threads_.size(); ++i) {
    const uint3 thread = {i % block.x, i / block.x % block.y, i / block.x / block.y};
    copies_[i].clear();
    threads_[i] = {{thread, place, block, grid}, State::not_started, nullptr, nullptr, {}, nullptr};
  }
  for (size_t i = 0; i < warps_.size(); ++i) {
    const size_t lanes = std::min<size_t>(WARP_LANES, threads_.size() - i * WARP_LANES);
    warps_[i] = {lanes == WARP_LANES ? ~0u : (1u << lanes) - 1, 0, 0, 1};
  }
  number_ = number;
  unfinished_ = static_cast<int>(threads_.size());
  arrived_ = 0;
  phase_ = 1;
  random_.seed(request.seed + number);
  shared_memory_.begin_block();
}

void Block::run(uint64_t number) {
  begin(number);
  running_block = this;
  while (unfinished_ > 0 && !launch_.stopped) {
    if (resume_ready_threads()) continue;
    report_deadlock();
    launch_.stopped = true;
  }
  running_block = nullptr;
  emulator_current_thread = nullptr;
  if (launch_.recording) launch_.recording->add(touches_);
  for (Thread& thread : threads_)
    if (thread.stack) stacks_.give_back(thread.stack);  // of threads that were stopped midway
}

bool Block::resume_ready_threads() {
  if (launch_.request.schedule == Schedule::random) std::shuffle(order_.begin(), order_.end(), random_);
  bool progress = false;
  for (int i : order_) {
    const State state = threads_[i].state;
    if (state != State::not_started && state != State::ready) continue;
    progress = true;
    resume(i);
    if (launch_.stopped) break;
  }
  return progress;
}

void Block::resume(int i) {
  Thread& thread = threads_[i];
  if (thread.state == State::not_started) {
    thread.stack = stacks_.take();
    thread.stack_pointer = prepare_stack(thread.stack, thread_main);
    thread.state = State::ready;
  }
  current_ = i;
  emulator_current_thread = &thread.identity;
  emulator_switch_stack(&scheduler_stack_pointer_, thread.stack_pointer);
  if (thread.state == State::finished) {
    stacks_.give_back(thread.stack);
    thread.stack = nullptr;
  }
}

void Block::thread_main() {
  const LaunchRequest& request = running_block->launch_.request;
  request.kernel(request.arguments);
  running_block->finish_thread();
}

void Block::finish_thread() {
  Thread& thread = threads_[current_];
  if (checks()) report_copies_under_way();
  thread.state = State::finished;
  --unfinished_;
  warps_[current_ / WARP_LANES].finished |= 1u << current_ % WARP_LANES;
  // The hardware lets a barrier pass when all threads that are left have arrived; the check build is as strict as
  // the language, which wants every thread of the block there.
  if (!checks() && arrived_ > 0 && arrived_ == unfinished_) release_barrier();
  emulator_switch_stack(&thread.stack_pointer, scheduler_stack_pointer_);
  __builtin_unreachable();
}

void Block::wait(State state, Location where) {
  Thread& thread = threads_[current_];
  thread.state = state;
  thread.waits_at = where;
  emulator_switch_stack(&thread.stack_pointer, scheduler_stack_pointer_);
}

void Block::stop() {
  launch_.stopped = true;
  emulator_switch_stack(&threads_[current_].stack_pointer, scheduler_stack_pointer_);
  __builtin_unreachable();
}

int Block::barrier(Vote vote, int predicate, Location where) {
  if (arrived_ == 0) {
    barrier_location_ = where;
    vote_result_ = vote == Vote::all ? 1 : 0;
  } else if (checks() && where.line != barrier_location_.line) {
    findings().add("divergent __syncthreads", Place(where),
                   format("%s waits here, others of the block at %s", current_thread_name().c_str(),
                          Place(barrier_location_).text().c_str()));
    stop();
  }
  const int yes = predicate != 0;
  if (vote == Vote::any) vote_result_ |= yes;
  if (vote == Vote::all) vote_result_ &= yes;
  if (vote == Vote::count) vote_result_ += yes;
  ++arrived_;
  const int expected = checks() ? static_cast<int>(threads_.size()) : unfinished_;
  if (arrived_ == expected)
    release_barrier();
  else
    wait(State::at_block_barrier, where);
  return released_vote_;
}

void Block::release_barrier() {
  arrived_ = 0;
  released_vote_ = vote_result_;
  ++phase_;
  for (Thread& thread : threads_)
    if (thread.state == State::at_block_barrier) thread.state = State::ready;
}

std::string Block::current_thread_name() const {
  const ThreadIdentity& identity = threads_[current_].identity;
  return format("thread (%u, %u, %u) of block (%u, %u, %u)", identity.thread.x, identity.thread.y, identity.thread.z,
                identity.block.x, identity.block.y, identity.block.z);
}

void Block::report_deadlock() const {
  std::map<std::string, int> waiting;
  Location first{};
  std::string kind;
  bool waits_at_barrier = false;
  for (const Thread& thread : threads_) {
    if (thread.state == State::finished) continue;
    const bool at_barrier = thread.state == State::at_block_barrier;
    const char* operation = at_barrier ? "__syncthreads" : name_of(thread.warp_request->operation);
    // A warp operation that some lanes passed by says more than the barrier at which those lanes wait.
    const bool says_more = waits_at_barrier && !at_barrier;
    if (kind.empty() || says_more) {
      waits_at_barrier = at_barrier;
      first = thread.waits_at;
      kind = format("not all %s reach %s", at_barrier ? "threads" : "lanes", operation);
    }
    waiting[std::string(operation) + " at " + Place(thread.waits_at).text()]++;
  }
  std::string detail = format("block %zu: ", static_cast<size_t>(number_));
  for (const auto& [where, count] : waiting) detail += format("%d threads wait in %s; ", count, where.c_str());
  detail += format("%zu have left the kernel", threads_.size() - static_cast<size_t>(unfinished_));
  findings().add(kind, Place(first), detail);
}

}  // namespace emulator
