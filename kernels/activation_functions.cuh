// Activation functions and their derivatives, one number at a time, and how they are applied to whole arrays.
//
// Each function has value(x) and gradient(gy, saved) = gy f', where `saved` is x or y, as backward_reads of Activation
// in gpunn/backend/attributes.py says. The derivative at a kink is the one from the left. A NaN stays one, except in
// the step function, where it gives 0; where `saved` is NaN, the ReLU family takes the derivative of the left side.
#pragma once

#include "store_gradients.cuh"
#include "vectors.cuh"

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

struct Linear {
  __device__ __forceinline__ float value(float x) const { return x; }
  __device__ __forceinline__ float gradient(float gy, float) const { return gy; }
};

struct Step {
  __device__ __forceinline__ float value(float x) const { return x > 0.0f ? 1.0f : 0.0f; }
  __device__ __forceinline__ float gradient(float, float) const { return 0.0f; }
};

struct Sigmoid {
  __device__ __forceinline__ float value(float x) const { return sigmoid(x); }
  __device__ __forceinline__ float gradient(float gy, float y) const { return gy * ((1.0f - y) * y); }
};

struct Tanh {
  __device__ __forceinline__ float value(float x) const { return tanhf(x); }
  __device__ __forceinline__ float gradient(float gy, float y) const { return gy * (1.0f - y * y); }
};

// max(0, x). The gradient is chosen, not multiplied: a product with 0 would make NaN of an infinity.
struct Relu {
  __device__ __forceinline__ float value(float x) const { return relu(x); }
  __device__ __forceinline__ float gradient(float gy, float y) const { return y > 0.0f ? gy : 0.0f; }
};

// max(a x, x), 0 <= a <= 1.
struct LeakyRelu {
  float a;
  __device__ __forceinline__ float value(float x) const { return x > a * x ? x : a * x; }
  __device__ __forceinline__ float gradient(float gy, float y) const { return y > 0.0f ? gy : a * gy; }
};

// max(0, x) + a min(0, x), any a.
struct GeneralizedRelu {
  float a;
  __device__ __forceinline__ float value(float x) const { return relu(x) + a * (x < 0.0f ? x : 0.0f); }
  __device__ __forceinline__ float gradient(float gy, float saved) const { return saved > 0.0f ? gy : a * gy; }
};

// x where positive, else a (exp(x) - 1), whose derivative is a exp(x) = y + a. With a < 0 the sign of y hides that of
// x, so x is saved instead.
struct Elu {
  float a;
  __device__ __forceinline__ float value(float x) const { return x > 0.0f ? x : a * expm1f(x); }
  __device__ __forceinline__ float gradient(float gy, float saved) const {
    if (saved > 0.0f) return gy;
    return gy * (a < 0.0f ? a * expf(saved) : saved + a);
  }
};

// log(1 + exp(x)) = max(0, x) + log(1 + exp(-|x|)), whose exponential cannot overflow; f' = sigmoid(x) = 1 - exp(-y).
struct Softplus {
  __device__ __forceinline__ float value(float x) const { return relu(x) + log1pf(expf(-fabsf(x))); }
  __device__ __forceinline__ float gradient(float gy, float y) const { return gy * -expm1f(-y); }
};

// x sigmoid(x); f' = s (1 + x (1 - s)), s = sigmoid(x).
struct Swish {
  __device__ __forceinline__ float value(float x) const { return x * sigmoid(x); }
  __device__ __forceinline__ float gradient(float gy, float x) const {
    const float s = sigmoid(x);
    return gy * (s * (1.0f + x * (1.0f - s)));
  }
};

// y = f(x) over rows of channels, COUNT channels at a time; y may be x.
template <class T, int COUNT>
struct ApplyFunction {
  T* y;
  int y_pitch;
  const T* x;
  int x_pitch;
  int rows, channels;

  template <class Function>
  __device__ __forceinline__ void operator()(Function f) const {
    for_each_vector<COUNT>(rows, channels, [=](int row, int channel) {
      Floats<COUNT> values = load_floats<COUNT>(&at(x, x_pitch, row, channel));
#pragma unroll
      for (int i = 0; i < COUNT; ++i) values[i] = f.value(values[i]);
      store_floats(&at(y, y_pitch, row, channel), values);
    });
  }
};

// gx = gy f', or gx += gy f' with `accumulate`, over rows of channels, COUNT channels at a time; gx may be gy.
template <class T, int COUNT>
struct ApplyGradient {
  T* gx;
  int gx_pitch;
  const T* gy;
  int gy_pitch;
  const T* saved;
  int saved_pitch;
  int rows, channels;
  bool accumulate;

  template <class Function>
  __device__ __forceinline__ void operator()(Function f) const {
    for_each_vector<COUNT>(rows, channels, [=](int row, int channel) {
      T* const target = &at(gx, gx_pitch, row, channel);
      const Floats<COUNT> held = load_floats<COUNT>(&at(saved, saved_pitch, row, channel));
      Floats<COUNT> gradients = load_floats<COUNT>(&at(gy, gy_pitch, row, channel));
#pragma unroll
      for (int i = 0; i < COUNT; ++i) gradients[i] = f.gradient(gradients[i], held[i]);
      store_gradients(target, gradients, accumulate);
    });
  }
};
