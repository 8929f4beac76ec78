// The running totals of an epoch, in float64: totals += sum of loss, top-1 hits, top-5 hits, images.
//
// Nothing is recorded when apply[0] is 0. A rank below 1 is a top-1 hit, below 5 a top-5 hit; `ranks` is null where
// there are no classes.
//
// Layout: `images` numbers of loss and ranks each.
// Grid: one block of any number of warps. Each thread adds up every blockDim.x-th image, and the threads' sums are
// combined in a fixed order.
// Shared memory: a number a warp, for each type of sum.
//
// Architectures: sm_75 and later

#include "primitives.cuh"
#include "row_reduction.cuh"

extern "C" __global__ void record_losses(double* totals, const float* loss, OPTIONAL const int* ranks, const int* apply,
                                         int images) {
  if (apply[0] == 0) return;
  constexpr int TOP_5 = 5;
  const double sum = reduce_row(images, 0.0, Add(), [=](int n) { return static_cast<double>(loss[n]); });
  int top_1 = 0, top_5 = 0;
  if (ranks) {
    top_1 = reduce_row(images, 0, Add(), [=](int n) { return ranks[n] < 1 ? 1 : 0; });
    top_5 = reduce_row(images, 0, Add(), [=](int n) { return ranks[n] < TOP_5 ? 1 : 0; });
  }
  if (threadIdx.x == 0) {
    totals[0] += sum;
    totals[1] += top_1;
    totals[2] += top_5;
    totals[3] += images;
  }
}
