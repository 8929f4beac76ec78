// The sizes of a convolution and of a pooling, as kernels take them: by value, so that they lie in constant memory.
// The fields are those of STRUCTURES in gpunn/backend/cuda/launching/geometry_arguments.py, in the same order.
#pragma once

struct Convolution2d {
  int N, H, W, C, K, R, S, P, Q, groups;
  int group_channels, group_filters;  // C and K of one group
  int stride_rows, stride_columns;
  int padding_top, padding_left;
  int dilation_rows, dilation_columns;
};

struct Pool2d {
  int N, H, W, C, R, S, P, Q;
  int stride_rows, stride_columns;
  int padding_top, padding_left;
};
