"""PyTorch's product for one layer and pass: cuDNN's convolution, cuBLAS's matrix product; and the device's ceilings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from benchmarks.gpu.ceilings import Ceilings
from gpunn.geometry import Conv2dGeometry, LinearGeometry
from gpunn.precision import Precision
from gpunn.timing.stopwatch import Subject, interleave

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
#: What of aten::convolution_backward is computed: gradients of the input, of the filters, of the bias.
_BACKWARD = {"backward_data": (True, False, False), "backward_filter": (False, True, False)}
#: Rows and columns of the product, and bytes of the copy, that show what the device can do.
_PRODUCT_SIDE = 8192
_COPY_BYTES = 2**30
_ROUNDS = 5


def pytorch_product(
    primitive: str, geometry: Conv2dGeometry | LinearGeometry, number_types: Precision, repeats: int
) -> Subject | None:
    """The same product, `repeats` times in one CUDA graph; None where PyTorch cannot express it."""
    torch.backends.cudnn.benchmark = True
    tf32 = number_types.multiplied == "tf32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    dtype = _TYPES[number_types.stored.name]
    if isinstance(geometry, Conv2dGeometry):
        once = _convolution(primitive, geometry, dtype)
    else:
        once = _linear(primitive, geometry, dtype)
    return None if once is None else Subject(_in_one_graph(once, repeats), torch.cuda.synchronize)


def ceilings() -> Ceilings:
    """Operations a second of a large product in every number type; bytes a second that a large copy moves."""
    rates: dict[str, float] = {}
    for name, dtype in (("float32", torch.float32), ("tf32", torch.float32), *list(_TYPES.items())[1:]):
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        left, right = (torch.randn(_PRODUCT_SIDE, _PRODUCT_SIDE, device="cuda", dtype=dtype) for _ in range(2))
        out = torch.empty_like(left)
        found = interleave({name: _subject(partial(torch.mm, left, right, out=out))}, _ROUNDS)[name]
        rates[name] = 2 * _PRODUCT_SIDE**3 / (found.median / 1000)
    source = torch.randint(0, 255, (_COPY_BYTES,), device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    copied = interleave({"copy": _subject(lambda: target.copy_(source))}, _ROUNDS)["copy"]
    return Ceilings(rates, 2 * _COPY_BYTES / (copied.median / 1000))


def _subject(call: Callable[[], object]) -> Subject:
    return Subject(call, torch.cuda.synchronize)


def _convolution(primitive: str, geometry: Conv2dGeometry, dtype: torch.dtype) -> Callable[[], object] | None:
    g = geometry
    sides = g.padding
    if sides.top != sides.bottom or sides.left != sides.right:
        return None
    stride, dilation, padding = list(g.stride), list(g.dilation), [sides.top, sides.left]

    def random(*shape: int) -> torch.Tensor:
        values = torch.randn(*shape, device="cuda", dtype=dtype)
        return values.contiguous(memory_format=torch.channels_last)

    x, gy = random(g.N, g.C, g.H, g.W), random(g.N, g.K, g.P, g.Q)
    w = random(g.K, g.C // g.groups, g.R, g.S)
    passed = primitive.removeprefix("convolution2d_")
    if passed == "forward":
        return lambda: torch.nn.functional.conv2d(x, w, None, stride, padding, dilation, g.groups)
    if passed not in _BACKWARD:
        return None
    wanted = list(_BACKWARD[passed])
    return lambda: torch.ops.aten.convolution_backward(
        gy, x, w, None, stride, padding, dilation, False, [0, 0], g.groups, wanted
    )


def _linear(primitive: str, geometry: LinearGeometry, dtype: torch.dtype) -> Callable[[], object] | None:
    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device="cuda", dtype=dtype)

    x, gy, w = random(*geometry.input_shape), random(*geometry.output_shape), random(*geometry.weight_shape)
    products: dict[str, Callable[[], object]] = {
        "linear_forward": lambda: x @ w,
        "linear_backward_data": lambda: gy @ w.T,
        "linear_backward_weight": lambda: x.T @ gy,
    }
    return products.get(primitive)


def _in_one_graph(once: Callable[[], object], repeats: int) -> Callable[[], object]:
    """After a warm-up on a stream of its own, as CUDA graphs want it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            once()
    return graph.replay
