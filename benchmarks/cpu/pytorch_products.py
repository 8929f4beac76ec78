"""Convolutions and fully connected layers in PyTorch's float64: a second opinion on what a call should have computed.

Arrays are gpunn's, N,H,W,C and R,S,C,K; PyTorch's are N,C,H,W and K,C,R,S.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gpunn.program.call import Call

Array = np.ndarray[Any, Any]


def pytorch_results(call: Call, given: Mapping[str, Array], before: Mapping[str, Array]) -> dict[str, Array]:
    """What a call writes, by the names of its arguments; nothing of a call that PyTorch does not compute here.

    Args:
        call: of the program.
        given: what it reads, by argument.
        before: what the arrays that it adds to held before.
    """
    compute = _PRODUCTS.get(call.primitive)
    activation = call.settings.get("activation")
    if compute is None or (activation is not None and activation.name not in ("linear", "relu")):
        return {}
    found = compute(call.settings["geometry"], given)
    if activation is not None and activation.name == "relu":
        target = next(iter(found))
        kept = found[target] if given.get("saved") is None else given["saved"]
        found[target] = np.where(kept > 0, found[target], 0.0)
    return {name: values + before[name] if name in before else values for name, values in found.items()}


def _convolution_forward(geometry: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    import torch

    padded, options = _padded(geometry, given["x"]), _options(geometry)
    y = torch.nn.functional.conv2d(padded, _filters(given["w"]), **options)
    return {"y": _images(y) + _bias(given)}


def _convolution_backward_data(geometry: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    from torch.nn.grad import conv2d_input

    top, bottom, left, right = geometry.padding
    H, W = geometry.H + top + bottom, geometry.W + left + right
    shape = (geometry.N, geometry.C, H, W)
    gx = conv2d_input(shape, _filters(given["w"]), _channels_first(given["gy"]), **_options(geometry))
    return {"gx": _images(gx)[:, top : H - bottom, left : W - right]}


def _convolution_backward_filter(geometry: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    from torch.nn.grad import conv2d_weight

    K, shape = geometry.K, geometry.filter_shape
    padded, gy = _padded(geometry, given["x"]), _channels_first(given["gy"])
    gw = conv2d_weight(padded, (K, shape[2], *shape[:2]), gy, **_options(geometry))
    return {"gw": gw.permute(2, 3, 1, 0).numpy(), "gbias": gy.sum((0, 2, 3)).numpy()}


def _linear_forward(geometry: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    return {"y": (_tensor(given["x"]) @ _tensor(given["w"])).numpy() + _bias(given)}


def _linear_backward_data(geometry: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    return {"gx": (_tensor(given["gy"]) @ _tensor(given["w"]).T).numpy()}


def _linear_backward_weight(geometry: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    x, gy = _tensor(given["x"]), _tensor(given["gy"])
    return {"gw": (x.T @ gy).numpy(), "gbias": gy.sum(0).numpy()}


_PRODUCTS: Mapping[str, Callable[[Any, Mapping[str, Array]], dict[str, Array]]] = {
    "convolution2d_forward": _convolution_forward,
    "convolution2d_backward_data": _convolution_backward_data,
    "convolution2d_backward_filter": _convolution_backward_filter,
    "linear_forward": _linear_forward,
    "linear_backward_data": _linear_backward_data,
    "linear_backward_weight": _linear_backward_weight,
}


def _bias(given: Mapping[str, Array]) -> Any:
    return given.get("bias", 0.0)


def _tensor(values: Array) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


def _channels_first(images: Array) -> Any:
    return _tensor(images.transpose(0, 3, 1, 2))


def _images(tensor: Any) -> Array:
    images: Array = tensor.permute(0, 2, 3, 1).numpy()
    return images


def _filters(w: Array) -> Any:
    return _tensor(w.transpose(3, 2, 0, 1))


def _padded(geometry: Any, x: Array) -> Any:
    import torch

    top, bottom, left, right = geometry.padding
    return torch.nn.functional.pad(_channels_first(x), (left, right, top, bottom))


def _options(geometry: Any) -> dict[str, Any]:
    return {"stride": tuple(geometry.stride), "dilation": tuple(geometry.dilation), "groups": geometry.groups}
