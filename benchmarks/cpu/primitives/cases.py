"""Every primitive other than products and convolutions, at the shapes that a network gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from gpunn.arena import SegmentTable
from gpunn.geometry import Pool2dGeometry, Shape
from gpunn.layers.convolution import Conv2d
from gpunn.layers.pooling import MaxPool2d
from gpunn.models import model
from gpunn.program.tables import tables_of

#: Bytes of a number.
FLOAT = 4
#: Bytes of a place in a window.
PLACE = 1

DECAY = 5e-4


@dataclass(frozen=True)
class Case:
    """One primitive at one shape.

    Attributes:
        operation: its name here.
        shape: of the images or rows that go in.
        moved: bytes that it reads and writes at least, when nothing stays in a cache.
        pooling: the windows, of a pooling.
        segments: the weights, of an optimiser.
    """

    operation: str
    shape: Shape
    moved: int
    pooling: Pool2dGeometry | None = None
    segments: SegmentTable | None = None

    @property
    def title(self) -> str:
        """Operation and shape in words."""
        windows = f" {self.pooling.R}x{self.pooling.S}/{self.pooling.stride.rows}" if self.pooling else ""
        return f"{self.operation} {'x'.join(map(str, self.shape))}{windows}"


def cases_of(name: str, batch: int) -> list[Case]:
    """All different cases of a network.

    Batch norm stands behind each convolution, local response norm before the first two poolings, whether the network
    has them or not; mean pooling has the windows of maximum pooling.
    """
    chosen = model(name)
    network = chosen.build(chosen.image, chosen.classes)
    images = [(batch, *node.shape) for node in network.nodes if isinstance(node.layer, Conv2d)]
    pools = [
        node.layer.geometry(batch, node.inputs[0].shape) for node in network.nodes if isinstance(node.layer, MaxPool2d)
    ]
    found = [
        *(case for geometry in pools for case in _pooling(geometry)),
        *(case for shape in images for case in _images(shape)),
        *(case for geometry in pools[:2] for case in _local_response(geometry.input_shape)),
        *_scores((batch, chosen.classes)),
        *_optimizers(tables_of(network).weights, tables_of(network, DECAY).weights),
    ]
    return list(dict.fromkeys(found))


def _pooling(geometry: Pool2dGeometry) -> Iterator[Case]:
    x, y = FLOAT * prod(geometry.input_shape), FLOAT * prod(geometry.output_shape)
    places = y // FLOAT * PLACE
    for operation, moved in (
        ("max pool forward", x + y + places),
        ("max pool inference", x + y),
        ("max pool backward", x + y + places),
        ("mean pool forward", x + y),
        ("mean pool backward", x + y),
    ):
        yield Case(operation, geometry.input_shape, moved, geometry)


def _images(shape: Shape) -> Iterator[Case]:
    size = FLOAT * prod(shape)
    for operation, arrays in (
        # The statistics need all of x before the first y.
        ("batch norm + relu forward", 3),
        ("batch norm + relu inference", 2),
        ("batch norm backward", 5),
        ("relu forward", 2),
        ("relu backward", 3),
    ):
        yield Case(operation, shape, arrays * size)


def _local_response(shape: Shape) -> Iterator[Case]:
    size = FLOAT * prod(shape)
    yield Case("local response forward", shape, 3 * size)
    yield Case("local response backward", shape, 5 * size)


def _scores(shape: Shape) -> Iterator[Case]:
    size = FLOAT * prod(shape)
    yield Case("softmax", shape, 2 * size)
    yield Case("softmax cross entropy", shape, 2 * size)


def _optimizers(plain: SegmentTable, decayed: SegmentTable) -> Iterator[Case]:
    for operation, arrays, segments in (("sgd", 5, plain), ("sgd with decay", 5, decayed), ("adam", 7, plain)):
        yield Case(operation, (segments.size,), arrays * FLOAT * segments.size, segments=segments)
