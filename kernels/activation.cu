// Every activation but ReLU, which has a file of its own: their formulas are in activation_functions.cuh.
//
//   forward   y  = f(x)
//   backward  gx = gy f'(x), computed from x or y; added to what gx holds with `accumulate`
//
// Layout: `rows` rows of `channels` numbers; a row of array a starts every a_pitch numbers, so that an array may be a
// slice of the channels of a wider one. A dense array is one row.
// Grid: one-dimensional, any size; each thread takes every (blocks * threads)-th vector. No shared memory. The function
// is chosen once, outside the loop, so that one file serves them all.
// y may be x and gx may be gy: that is why no pointer is __restrict__.
//
// Architectures: sm_75 and later
// STORED: float | bfloat16 | float16
// WIDE: 0 | 1

#include "activation_functions.cuh"

namespace {

constexpr int COUNT = CONTIGUOUS<STORED, WIDE>;

// The order of FUNCTIONS in gpunn/backend/cuda/activation.py.
enum Function { LINEAR, STEP, SIGMOID, TANH, LEAKY_RELU, GENERALIZED_RELU, ELU, SOFTPLUS, SWISH };

// Calls work(f) with the function of that number and its parameter a.
template <class Work>
__device__ __forceinline__ void with_function(int function, float a, Work work) {
  switch (function) {
    case LINEAR: return work(Linear());
    case STEP: return work(Step());
    case SIGMOID: return work(Sigmoid());
    case TANH: return work(Tanh());
    case LEAKY_RELU: return work(LeakyRelu{a});
    case GENERALIZED_RELU: return work(GeneralizedRelu{a});
    case ELU: return work(Elu{a});
    case SOFTPLUS: return work(Softplus());
    case SWISH:
    default: return work(Swish());
  }
}

}  // namespace

extern "C" __global__ void activation_forward(OUTPUT STORED* y, int y_pitch, const STORED* x, int x_pitch, int rows,
                                              int channels, int function, float a) {
  with_function(function, a, ApplyFunction<STORED, COUNT>{y, y_pitch, x, x_pitch, rows, channels});
}

extern "C" __global__ void activation_backward(STORED* gx, int gx_pitch, const STORED* gy, int gy_pitch,
                                               const STORED* saved, int saved_pitch, int rows, int channels,
                                               int function, float a, int accumulate) {
  with_function(function, a,
                ApplyGradient<STORED, COUNT>{gx, gx_pitch, gy, gy_pitch, saved, saved_pitch, rows, channels,
                                             accumulate != 0});
}
