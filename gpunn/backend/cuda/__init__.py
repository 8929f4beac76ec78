"""The contract on CUDA: every function checks its arrays, picks a kernel and a grid, and launches it.

The same functions serve a GPU, through CuPy, and the emulator; only opening a GPU imports CuPy.
"""

from __future__ import annotations

from gpunn.backend.cuda.activation import activation_backward, activation_forward
from gpunn.backend.cuda.convolution import (
    convolution2d_backward_data,
    convolution2d_backward_data_workspace,
    convolution2d_backward_filter,
    convolution2d_backward_filter_workspace,
    convolution2d_forward,
    convolution2d_forward_workspace,
)
from gpunn.backend.cuda.dropout import dropout_backward, dropout_forward
from gpunn.backend.cuda.image import normalize_images
from gpunn.backend.cuda.linear import (
    linear_backward_data,
    linear_backward_data_workspace,
    linear_backward_weight,
    linear_backward_weight_workspace,
    linear_forward,
    linear_forward_workspace,
)
from gpunn.backend.cuda.local_response_norm import local_response_norm_backward, local_response_norm_forward
from gpunn.backend.cuda.locally_connected import (
    locally_connected2d_backward_data,
    locally_connected2d_backward_filter,
    locally_connected2d_forward,
)
from gpunn.backend.cuda.loss import (
    binary_cross_entropy,
    record_losses,
    softmax_cross_entropy,
    softmax_cross_entropy_soft,
    squared_error,
)
from gpunn.backend.cuda.loss_scale import set_loss_scale, unscale_gradients
from gpunn.backend.cuda.median_pooling import (
    median_pool2d_backward,
    median_pool2d_backward_workspace,
    median_pool2d_forward,
    median_pool2d_forward_workspace,
)
from gpunn.backend.cuda.memory import (
    add,
    concatenate_backward,
    concatenate_forward,
    copy,
    fill,
    flatten_backward,
    flatten_forward,
    scale,
)
from gpunn.backend.cuda.normalization import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    fold_batch_norm,
    group_norm_backward,
    group_norm_forward,
)
from gpunn.backend.cuda.optimizer import adagrad, adam, rmsprop, sgd
from gpunn.backend.cuda.parametric_relu import parametric_relu_backward, parametric_relu_forward
from gpunn.backend.cuda.penalty import penalty_gradient, penalty_value
from gpunn.backend.cuda.pooling import (
    global_mean_pool2d_backward,
    global_mean_pool2d_forward,
    maximum_pool2d_backward,
    maximum_pool2d_forward,
    mean_pool2d_backward,
    mean_pool2d_forward,
)
from gpunn.backend.cuda.softmax import softmax_backward, softmax_forward
from gpunn.backend.cuda.update import advance, clip_global_norm, commit_statistics, finite_check

__all__ = [
    "activation_backward",
    "activation_forward",
    "adagrad",
    "adam",
    "add",
    "advance",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_inference",
    "binary_cross_entropy",
    "clip_global_norm",
    "commit_statistics",
    "concatenate_backward",
    "concatenate_forward",
    "convolution2d_backward_data",
    "convolution2d_backward_data_workspace",
    "convolution2d_backward_filter",
    "convolution2d_backward_filter_workspace",
    "convolution2d_forward",
    "convolution2d_forward_workspace",
    "copy",
    "dropout_backward",
    "dropout_forward",
    "fill",
    "finite_check",
    "flatten_backward",
    "flatten_forward",
    "fold_batch_norm",
    "global_mean_pool2d_backward",
    "global_mean_pool2d_forward",
    "group_norm_backward",
    "group_norm_forward",
    "linear_backward_data",
    "linear_backward_data_workspace",
    "linear_backward_weight",
    "linear_backward_weight_workspace",
    "linear_forward",
    "linear_forward_workspace",
    "local_response_norm_backward",
    "local_response_norm_forward",
    "locally_connected2d_backward_data",
    "locally_connected2d_backward_filter",
    "locally_connected2d_forward",
    "maximum_pool2d_backward",
    "maximum_pool2d_forward",
    "mean_pool2d_backward",
    "mean_pool2d_forward",
    "median_pool2d_backward",
    "median_pool2d_backward_workspace",
    "median_pool2d_forward",
    "median_pool2d_forward_workspace",
    "normalize_images",
    "parametric_relu_backward",
    "parametric_relu_forward",
    "penalty_gradient",
    "penalty_value",
    "record_losses",
    "rmsprop",
    "scale",
    "set_loss_scale",
    "sgd",
    "softmax_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_soft",
    "softmax_forward",
    "squared_error",
    "unscale_gradients",
]
