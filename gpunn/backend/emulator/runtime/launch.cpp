// What Python calls. The blocks of a grid are handed out to OS threads, one block at a time.
#include <algorithm>
#include <cstdio>
#include <thread>

#include "block.h"
#include "machine.h"

extern "C" {

emulator::Machine* emulator_open(unsigned workers) { return new emulator::Machine(workers); }

void emulator_close(emulator::Machine* machine) { delete machine; }

int emulator_launch(emulator::Machine* machine, const emulator::LaunchRequest* request) {
  using namespace emulator;
  const uint64_t blocks = uint64_t{request->grid[0]} * request->grid[1] * request->grid[2];
  Findings findings;
  GlobalMemory global_memory(request->buffers, request->buffer_count, request->check != 0);
  std::atomic<bool> stopped{false};
  std::atomic<uint64_t> next{0};
  machine->recording.reset(request->record ? new Recording(request->buffers, request->buffer_count) : nullptr);
  const Launch launch = {*request, global_memory, findings, stopped, machine->recording.get()};
  auto work = [&](StackPool* stacks) {
    Block block(launch, *stacks);
    for (uint64_t number; !stopped && (number = next++) < blocks;) block.run(number);
  };
  std::vector<std::thread> helpers;
  const uint64_t workers = std::min<uint64_t>(machine->stacks.size(), blocks);
  for (uint64_t i = 1; i < workers; ++i) helpers.emplace_back(work, machine->stacks[i].get());
  work(machine->stacks[0].get());
  for (std::thread& helper : helpers) helper.join();
  if (!stopped) global_memory.check_outputs(findings);
  snprintf(request->report, request->report_capacity, "%s", findings.report().c_str());
  return findings.count();
}

uint64_t emulator_recorded_accesses(emulator::Machine* machine, const emulator::RecordedAccess** first) {
  const auto& accesses = machine->recording->accesses();
  *first = accesses.data();
  return accesses.size();
}

uint64_t emulator_recorded_buffers(emulator::Machine* machine, const emulator::RecordedBuffer** first) {
  const auto& buffers = machine->recording->buffers();
  *first = buffers.data();
  return buffers.size();
}
}
