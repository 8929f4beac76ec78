// Copies from global to shared memory that one thread has started and not yet waited for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "interface.h"

namespace emulator {

struct Copy {
  void* shared;
  const void* global;
  size_t bytes;
  bool exists;  // otherwise zeros are written and nothing is read
  uint32_t group;
  Location where;

  void perform() const;
};

class AsynchronousCopies {
 public:
  void clear() {
    under_way_.clear();
    groups_ = 0;
  }
  void start(Copy copy) {
    copy.group = groups_;
    under_way_.push_back(copy);
  }
  void commit() { ++groups_; }
  // Calls visit(copy) for every copy that ends when at most the last `groups_left` groups may still be under way.
  // Copies of no group yet are not waited for.
  template <class Visit>
  void wait(uint32_t groups_left, Visit visit) {
    size_t ended = 0;
    while (ended < under_way_.size() && under_way_[ended].group + uint64_t{groups_left} < groups_)
      visit(under_way_[ended++]);
    under_way_.erase(under_way_.begin(), under_way_.begin() + static_cast<ptrdiff_t>(ended));
  }
  const std::vector<Copy>& under_way() const { return under_way_; }

 private:
  std::vector<Copy> under_way_;  // oldest first
  uint32_t groups_ = 0;          // that were committed
};

}  // namespace emulator
