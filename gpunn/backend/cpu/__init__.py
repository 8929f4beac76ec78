"""The contract on NumPy."""

from __future__ import annotations

from gpunn.backend.cpu.activation import (
    activation_backward,
    activation_forward,
    parametric_relu_backward,
    parametric_relu_forward,
)
from gpunn.backend.cpu.batch_norm_folding import fold_batch_norm
from gpunn.backend.cpu.convolution import (
    convolution2d_backward_data,
    convolution2d_backward_data_workspace,
    convolution2d_backward_filter,
    convolution2d_backward_filter_workspace,
    convolution2d_forward,
    convolution2d_forward_workspace,
)
from gpunn.backend.cpu.dropout import dropout_backward, dropout_forward
from gpunn.backend.cpu.image import normalize_images
from gpunn.backend.cpu.linear import (
    linear_backward_data,
    linear_backward_data_workspace,
    linear_backward_weight,
    linear_backward_weight_workspace,
    linear_forward,
    linear_forward_workspace,
)
from gpunn.backend.cpu.local_response_norm import local_response_norm_backward, local_response_norm_forward
from gpunn.backend.cpu.locally_connected import (
    locally_connected2d_backward_data,
    locally_connected2d_backward_filter,
    locally_connected2d_forward,
)
from gpunn.backend.cpu.loss import (
    binary_cross_entropy,
    record_losses,
    softmax_cross_entropy,
    softmax_cross_entropy_soft,
    squared_error,
)
from gpunn.backend.cpu.loss_scale import set_loss_scale, unscale_gradients
from gpunn.backend.cpu.median_pooling import (
    median_pool2d_backward,
    median_pool2d_backward_workspace,
    median_pool2d_forward,
    median_pool2d_forward_workspace,
)
from gpunn.backend.cpu.memory import (
    add,
    concatenate_backward,
    concatenate_forward,
    copy,
    fill,
    flatten_backward,
    flatten_forward,
    scale,
)
from gpunn.backend.cpu.normalization import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    group_norm_backward,
    group_norm_forward,
)
from gpunn.backend.cpu.optimizer import adagrad, adam, rmsprop, sgd
from gpunn.backend.cpu.penalty import penalty_gradient, penalty_value
from gpunn.backend.cpu.pooling import (
    global_mean_pool2d_backward,
    global_mean_pool2d_forward,
    maximum_pool2d_backward,
    maximum_pool2d_forward,
    mean_pool2d_backward,
    mean_pool2d_forward,
)
from gpunn.backend.cpu.softmax import softmax_backward, softmax_forward
from gpunn.backend.cpu.update import advance, clip_global_norm, commit_statistics, finite_check

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
