// CUDA's vector types, with the alignment that the hardware asks for.
#pragma once

#define EMULATOR_VECTOR_2(name, element, bytes)         \
  struct __attribute__((aligned(bytes))) name {         \
    element x, y;                                       \
  };                                                    \
  inline name make_##name(element x, element y) { return {x, y}; }

#define EMULATOR_VECTOR_4(name, element, bytes)         \
  struct __attribute__((aligned(bytes))) name {         \
    element x, y, z, w;                                 \
  };                                                    \
  inline name make_##name(element x, element y, element z, element w) { return {x, y, z, w}; }

EMULATOR_VECTOR_2(uchar2, unsigned char, 2)
EMULATOR_VECTOR_4(uchar4, unsigned char, 4)
EMULATOR_VECTOR_2(ushort2, unsigned short, 4)
EMULATOR_VECTOR_4(ushort4, unsigned short, 8)
EMULATOR_VECTOR_2(int2, int, 8)
EMULATOR_VECTOR_4(int4, int, 16)
EMULATOR_VECTOR_2(uint2, unsigned, 8)
EMULATOR_VECTOR_4(uint4, unsigned, 16)
EMULATOR_VECTOR_2(float2, float, 8)
EMULATOR_VECTOR_4(float4, float, 16)
EMULATOR_VECTOR_2(double2, double, 16)

#undef EMULATOR_VECTOR_2
#undef EMULATOR_VECTOR_4
