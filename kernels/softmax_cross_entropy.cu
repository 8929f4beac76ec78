// Softmax, cross-entropy, its gradient and the rank of the label, in one pass over the scores x of each image.
//
//   loss     = -sum over k of q[k] log softmax(x)[k]
//   gradient = weight * loss_scale * (softmax(x)[k] - q[k]); added to what is there with `accumulate`
//   rank     = how many classes score above the label, or equal and earlier; a label whose score is NaN ranks last
//   q[k]     = on_target t[k] + everywhere, with on_target = 1 - smoothing and everywhere = smoothing / K
//
// t is 1 at the label and 0 elsewhere, or a row of soft targets that sum to 1, whose label is the first largest one.
// (Label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, section 7.)
//
// Layout: N rows of `classes` numbers; a row of array a starts every a_pitch numbers. gradient is null when not wanted.
// Grid: one block a row, of any number of warps; each thread takes every blockDim.x-th class, so that neighbouring
// threads read neighbouring numbers. A row is read several times, but from memory only once.
// Shared memory: a number a warp, for each kind of reduction.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16

#include "softmax_row.cuh"

namespace {

// "Not below or equal" rather than "above", so that a NaN never counts as a hit.
__device__ __forceinline__ int rank_of(int label, const float* x, int classes) {
  const float own = x[label];
  return reduce_row(classes, 0, Add(), [=](int k) { return !(x[k] <= own) || (x[k] == own && k < label) ? 1 : 0; });
}

__device__ __forceinline__ int first_largest(const float* values, int count) {
  const float largest = reduce_row(count, values[0], Larger(), [=](int k) { return values[k]; });
  const int first = reduce_row(count, count, Smaller(), [=](int k) { return values[k] == largest ? k : count; });
  return first < count ? first : 0;  // a row of NaN has no largest value
}

// The gradient of one row; q(k) is what the classes should have had.
template <class Wanted>
__device__ __forceinline__ void write_gradient(STORED* gradient, const float* x, int classes, Softmax row, float scale,
                                               bool accumulate, Wanted q) {
  for (int k = threadIdx.x; k < classes; k += blockDim.x) {
    const float value = scale * (row.probability(x[k]) - q(k));
    gradient[k] = from_float<STORED>(accumulate ? to_float(gradient[k]) + value : value);
  }
}

}  // namespace

extern "C" __global__ void softmax_cross_entropy(OUTPUT float* loss, OPTIONAL STORED* gradient, int gradient_pitch,
                                                 OUTPUT int* ranks, const float* logits, int logits_pitch,
                                                 const int* labels, const double* loss_scale, int classes,
                                                 float on_target, float everywhere, double weight, int accumulate) {
  const long long n = blockIdx.x;
  const float* x = logits + n * logits_pitch;
  const int label = labels[n];

  const Softmax row = softmax_of_row(x, classes);
  const int rank = rank_of(label, x, classes);
  float value = -on_target * row.log_probability(x[label]);
  // Without smoothing, a class that scores -infinity must not make 0 * infinity of the loss.
  if (everywhere > 0)
    value -= everywhere * reduce_row(classes, 0.0f, Add(), [=](int k) { return row.log_probability(x[k]); });
  if (threadIdx.x == 0) {
    loss[n] = value;
    ranks[n] = rank;
  }
  if (!gradient) return;
  const float scale = static_cast<float>(weight * loss_scale[0]);
  write_gradient(gradient + n * gradient_pitch, x, classes, row, scale, accumulate,
                 [=](int k) { return k == label ? everywhere + on_target : everywhere; });
}

extern "C" __global__ void softmax_cross_entropy_soft(OUTPUT float* loss, OPTIONAL STORED* gradient, int gradient_pitch,
                                                      OUTPUT int* ranks, const float* logits, int logits_pitch,
                                                      const float* targets, int targets_pitch,
                                                      const double* loss_scale, int classes, float on_target,
                                                      float everywhere, double weight, int accumulate) {
  const long long n = blockIdx.x;
  const float* x = logits + n * logits_pitch;
  const float* target = targets + n * targets_pitch;
  const auto wanted = [=](int k) { return target[k] * on_target + everywhere; };

  const Softmax row = softmax_of_row(x, classes);
  const int rank = rank_of(first_largest(target, classes), x, classes);
  const float value =
      -reduce_row(classes, 0.0f, Add(), [=](int k) { return wanted(k) * row.log_probability(x[k]); });
  if (threadIdx.x == 0) {
    loss[n] = value;
    ranks[n] = rank;
  }
  if (!gradient) return;
  const float scale = static_cast<float>(weight * loss_scale[0]);
  write_gradient(gradient + n * gradient_pitch, x, classes, row, scale, accumulate, wanted);
}
