"""The functions of a backend, family by family."""

from __future__ import annotations

from typing import Protocol

from gpunn.backend.contract.branches import BranchPrimitives
from gpunn.backend.contract.convolution import ConvolutionPrimitives
from gpunn.backend.contract.elementwise import ElementwisePrimitives
from gpunn.backend.contract.images import ImagePrimitives
from gpunn.backend.contract.linear import LinearPrimitives
from gpunn.backend.contract.losses import LossPrimitives
from gpunn.backend.contract.normalization import NormalizationPrimitives
from gpunn.backend.contract.pooling import PoolingPrimitives
from gpunn.backend.contract.update import UpdatePrimitives


class Primitives(
    ImagePrimitives,
    ConvolutionPrimitives,
    LinearPrimitives,
    PoolingPrimitives,
    BranchPrimitives,
    NormalizationPrimitives,
    ElementwisePrimitives,
    LossPrimitives,
    UpdatePrimitives,
    Protocol,
):
    """The functions of a backend."""
