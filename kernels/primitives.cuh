// What every kernel includes: the words of a kernel's signature, and the primitives that look different on the GPU and
// in the emulator. Inline PTX may be written in primitives*.cuh only, each piece beside its emulation.
#pragma once

// In front of a pointer parameter: the kernel writes every element exactly once, and reads none before.
// The launcher reads these words from the source; the emulator's check build holds the kernel to this one.
#define OUTPUT

// In front of a pointer parameter: it may be null.
#define OPTIONAL

// Shared memory whose size is given at launch; `name` points to its bytes.
#ifdef GPUNN_EMULATOR
#define DYNAMIC_SHARED(name) unsigned char* const name = emulator_dynamic_shared_memory()
#else
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif

// max(0, x). A NaN stays one (fmaxf would make it 0), so that the finite check of the loss still sees it.
__device__ __forceinline__ float relu(float x) { return x < 0.0f ? 0.0f : x; }
