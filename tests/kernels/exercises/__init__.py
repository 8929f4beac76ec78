"""Exercises: for every packaged kernel file, calls that bring its kernels into every situation they know.

Several tiles, loops that run more than once, borders, groups, split sums, accumulation, slices of channels: whatever
changes the control flow. They say nothing about what is right, which is the tests' of the primitives to say; they serve
whatever has to see all kernels run, such as the mutation test and the branch coverage. A file's exercises stand from
the quickest to the most thorough.
"""

from __future__ import annotations

from collections.abc import Callable

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.self_test import primitive_failures
from tests.backend.arrays import Host
from tests.kernels.exercises import convolution, elementwise, losses, normalization, pooling, update
from tests.kernels.exercises.arrays import Arrays

Exercise = Callable[[Arrays], None]


def primitives(arrays: Arrays) -> None:
    primitive_failures(arrays.device)


EXERCISES: dict[str, tuple[Exercise, ...]] = {
    "activation.cu": (elementwise.activations,),
    "adagrad.cu": (update.adagrad,),
    "adam.cu": (update.adam,),
    "add.cu": (elementwise.additions,),
    "advance.cu": (update.steps,),
    "batch_norm.cu": (normalization.batch_norm,),
    "binary_cross_entropy.cu": (losses.binary_cross_entropy,),
    "clip_global_norm.cu": (update.clipping,),
    "column_sums.cu": (elementwise.parametric_relu,),
    "commit_statistics.cu": (update.statistics,),
    "convolution2d_backward_data.cu": convolution.backward_data,
    "convolution2d_backward_data_tensor.cu": convolution.tensor_backward_data,
    "convolution2d_backward_filter.cu": convolution.backward_filter,
    "convolution2d_backward_filter_tensor.cu": convolution.tensor_backward_filter,
    "convolution2d_combine.cu": (*convolution.forward[1:], *convolution.backward_data[1:]),
    "convolution2d_forward.cu": convolution.forward,
    "convolution2d_forward_tensor.cu": convolution.tensor_forward,
    "copy.cu": (elementwise.copies, elementwise.narrow_copies),
    "dropout.cu": (elementwise.dropout,),
    "fill.cu": (elementwise.fills,),
    "finite_check.cu": (update.finite_checks,),
    "fold_batch_norm.cu": (normalization.folded_batch_norm,),
    "global_mean_pool2d.cu": (pooling.global_mean_pooling,),
    "group_norm.cu": (normalization.group_norm, normalization.group_norm_of_many_channels),
    "hold.cu": (update.holding,),
    "local_response_norm.cu": (normalization.local_response_norm,),
    "locally_connected2d.cu": (convolution.locally_connected,),
    "loss_scale.cu": (update.loss_scaling, update.loss_scaling_of_many),
    "maximum_pool2d.cu": (pooling.maximum_pooling,),
    "maximum_pool2d_stride2.cu": (pooling.halving_maximum_pooling,),
    "mean_pool2d.cu": (pooling.mean_pooling,),
    "median_pool2d.cu": (pooling.median_pooling,),
    "normalization.cu": (normalization.batch_norm, normalization.group_norm),
    "normalize_images.cu": (elementwise.pictures,),
    "parametric_relu.cu": (elementwise.parametric_relu,),
    "penalty.cu": (update.penalties,),
    "primitives_test.cu": (primitives,),
    "record_losses.cu": (losses.totals,),
    "relu.cu": (elementwise.relu,),
    "rmsprop.cu": (update.rmsprop,),
    "scale.cu": (elementwise.scales,),
    "sgd.cu": (update.sgd,),
    "softmax.cu": (losses.softmax,),
    "softmax_cross_entropy.cu": (losses.cross_entropy,),
    "squared_error.cu": (losses.squared_error,),
}


def every_exercise() -> list[Exercise]:
    """Each once."""
    return list(dict.fromkeys(exercise for exercises in EXERCISES.values() for exercise in exercises))


def results_of(device: CudaDevice, exercise: Exercise) -> list[Host]:
    """Everything that an exercise computes on a device."""
    arrays = Arrays(device)
    exercise(arrays)
    return arrays.results()
