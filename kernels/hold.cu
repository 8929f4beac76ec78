// Keeps the stream busy for so many cycles of the clock, so that the host can queue what is to be timed behind it.
//
// Grid: one thread.
//
// Architectures: sm_75 and later

#include "primitives.cuh"

extern "C" __global__ void hold(OUTPUT long long* held, long long cycles) {
  const long long begun = clock64();
  long long now = begun;
  while (now - begun < cycles) now = clock64();
  held[0] = now - begun;
}
