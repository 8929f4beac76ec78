// A place in an array of three axes, moved on without divisions, which a GPU has no instruction for.
#pragma once

// A number of three digits: `low` counts to low_size, then `middle` to middle_size, then `high` without end.
struct Counter {
  int high, middle, low;
};

__device__ __forceinline__ Counter counter_of(int value, int middle_size, int low_size) {
  const int upper = value / low_size;
  return {upper / middle_size, upper % middle_size, value % low_size};
}

// Adds another number whose digits are below their sizes.
__device__ __forceinline__ void advance(Counter& place, const Counter& step, int middle_size, int low_size) {
  place.low += step.low;
  const bool low_carries = place.low >= low_size;
  place.low -= low_carries ? low_size : 0;
  place.middle += step.middle + low_carries;
  const bool middle_carries = place.middle >= middle_size;
  place.middle -= middle_carries ? middle_size : 0;
  place.high += step.high + middle_carries;
}

__device__ __forceinline__ void advance_by_one(Counter& place, int middle_size, int low_size) {
  advance(place, {0, 0, 1}, middle_size, low_size);
}
