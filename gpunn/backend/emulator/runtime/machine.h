// What is kept between launches: stacks that are already mapped and warm, a pool for each OS thread, and what the last
// launch recorded.
#pragma once
#include <memory>
#include <vector>

#include "fiber.h"
#include "recorder.h"

namespace emulator {

struct Machine {
  explicit Machine(unsigned workers) {
    for (unsigned i = 0; i < workers; ++i) stacks.push_back(std::make_unique<StackPool>());
  }
  std::vector<std::unique_ptr<StackPool>> stacks;
  std::unique_ptr<Recording> recording;
};

}  // namespace emulator
