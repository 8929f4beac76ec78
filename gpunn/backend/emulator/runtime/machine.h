// What is kept between launches: stacks that are already mapped and warm, a pool for each OS thread.
#pragma once
#include <memory>
#include <vector>

#include "fiber.h"

namespace emulator {

struct Machine {
  explicit Machine(unsigned workers) {
    for (unsigned i = 0; i < workers; ++i) stacks.push_back(std::make_unique<StackPool>());
  }
  std::vector<std::unique_ptr<StackPool>> stacks;
};

}  // namespace emulator
