// cp.async: a thread starts copies and goes on; what they bring is there after it has waited for their group.
#include "asynchronous_copies.h"

#include <cstring>

#include "block.h"

namespace emulator {

namespace {

Access write_of(const Copy& copy, int thread, uint64_t block) {
  Access access = {reinterpret_cast<uintptr_t>(copy.shared), copy.bytes, true, false, thread, block, 0, copy.where};
  access.asynchronous = true;
  return access;
}

}  // namespace

void Copy::perform() const {
  if (exists)
    std::memcpy(shared, global, bytes);
  else
    std::memset(shared, 0, bytes);
}

void Block::copy_async(const Copy& copy) {
  if (checks()) check_copy(copy);
  const bool early = launch_.request.copies == CopyTiming::early;
  if (early) copy.perform();
  if (!early || checks()) copies_[current_].start(copy);
}

void Block::commit_copies() { copies_[current_].commit(); }

void Block::wait_for_copies(uint32_t groups_left) {
  copies_[current_].wait(groups_left, [this](const Copy& copy) {
    if (launch_.request.copies == CopyTiming::late) copy.perform();
    if (checks()) shared_memory_.finish_copy(write_of(copy, current_, number_), phase_of(current_));
  });
}

void Block::check_copy(const Copy& copy) {
  const Access write = write_of(copy, current_, number_);
  const uintptr_t source = reinterpret_cast<uintptr_t>(copy.global);
  if (!shared_memory_.contains(write.address)) {
    findings().add("asynchronous copy to an address outside shared memory", write.place(), current_thread_name());
    stop();
  }
  if (copy.exists && !launch_.global_memory.contains(source)) {
    findings().add("asynchronous copy reads out of bounds", write.place(),
                   format("%zu bytes %s, %s", copy.bytes, launch_.global_memory.nearest(source).c_str(),
                          current_thread_name().c_str()));
    stop();
  }
  if (copy.exists) check_and_record({source, copy.bytes, false, false, current_, number_, 0, copy.where});
  check_and_record(write);
}

void Block::report_copies_under_way() {
  for (const Copy& copy : copies_[current_].under_way())
    findings().add("a copy that nobody waits for", Place(copy.where), current_thread_name());
}

}  // namespace emulator
