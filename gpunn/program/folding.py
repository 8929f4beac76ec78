"""At evaluation, batch norm becomes part of the convolution before it: a number for each filter, and a bias.

This is apart from the rules of rewrites.py because it rounds otherwise: the filters are multiplied instead of what they
give. (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
2018, section 3.2.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from gpunn.backend.attributes import LINEAR
from gpunn.geometry import Conv2dGeometry
from gpunn.program.call import Buffer, Call
from gpunn.program.rewrites import mentions_of


def fold_batch_norms(calls: Sequence[Call]) -> list[Call]:
    """Every convolution whose output only a batch norm with running statistics reads computes that batch norm, too.

    It is left as it is where there are more filter weights than outputs: multiplying the outputs is less work then.
    """
    current = list(calls)
    while (changed := _fold_one(current)) is not None:
        current = changed
    return current


def _fold_one(calls: Sequence[Call]) -> list[Call] | None:
    mentions = mentions_of(calls)
    for index, norm in enumerate(calls):
        if norm.primitive != "batch_norm_inference":
            continue
        between, result = norm.reads["x"], norm.writes["y"]
        if not (isinstance(between, Buffer) and isinstance(result, Buffer) and between.kind == "planned"):
            continue
        first, *others = mentions[between]
        if others == [index] and _is_worth_folding(calls[first]):
            fold, convolution = _folded(calls[first], norm, result)
            return [*calls[:first], fold, convolution, *calls[first + 1 : index], *calls[index + 1 :]]
    return None


def _is_worth_folding(call: Call) -> bool:
    if call.primitive != "convolution2d_forward" or call.settings["activation"] != LINEAR:
        return False
    geometry = call.settings["geometry"]
    assert isinstance(geometry, Conv2dGeometry)
    return prod(geometry.filter_shape) <= prod(geometry.output_shape)


def _folded(convolution: Call, norm: Call, result: Buffer) -> tuple[Call, Call]:
    """The call that multiplies the filters, and the convolution with them and with the batch norm's activation."""
    factor, mean, gamma = convolution.reads["w"], norm.reads["running_mean"], norm.reads["gamma"]
    assert isinstance(factor, Buffer)
    assert isinstance(mean, Buffer)
    assert isinstance(gamma, Buffer)
    filters = Buffer(f"{norm.node}:filters", factor.shape, factor.dtype, "plain", "planned")
    offset = Buffer(f"{norm.node}:offset", mean.shape, mean.dtype, "plain", "planned")
    # A rounded copy of the weights would be rounded twice.
    weights = replace(factor, kind="parameter", dtype=gamma.dtype) if factor.kind == "rounded" else factor
    statistics = {name: norm.reads[name] for name in ("running_mean", "running_variance", "gamma", "beta")}
    fold = Call(
        "fold_batch_norm",
        norm.node,
        norm.phase,
        {"filters": filters, "offset": offset},
        {"w": weights, "bias": convolution.reads["bias"], **statistics},
        {"settings": norm.settings["settings"]},
    )
    reads = {**convolution.reads, "w": filters, "bias": offset}
    settings = {**convolution.settings, "activation": norm.settings["activation"]}
    return fold, replace(convolution, writes={"y": result}, reads=reads, settings=settings)
