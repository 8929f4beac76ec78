// Counts a step, and lets the next one apply: unless some step is latched, which voids all that follow.
//
// Grid: one thread.
//
// Architectures: sm_75 and later

#include "primitives.cuh"

extern "C" __global__ void advance(long long* step, int* apply, const long long* latched_step) {
  if (latched_step[0] >= 0) return;
  step[0] += 1;
  apply[0] = 1;
}
