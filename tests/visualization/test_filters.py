"""Pictures of filters against weights that the test has set."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import Conv2d, Flatten, GlobalMeanPool2d, Linear, ReLU
from gpunn.network import Network, Sequential
from gpunn.visualization.filters import filter_bank, filter_page
from tests.visualization.samples import Array, drawn_sheet, learner_of, pixels_of, places, set_weights, squares

#: The ends and the middle of ColorBrewer's RdBu: #053061, #f7f7f7 and #67001f.
BLUE, WHITE, RED = (5, 48, 97), (247, 247, 247), (103, 0, 31)


def coloured(channels: int) -> Network:
    return Sequential(
        Conv2d(6, 4, name="conv1"),
        ReLU(name="relu1"),
        Conv2d(2, (2, 3), groups=2, name="conv2"),
        GlobalMeanPool2d(name="mean"),
        Linear(2, 2, name="fc"),
    ).network((9, 9, channels), "net")


def page_of(network: Network, device: Device, weights: dict[str, Array], layer: str | None = None) -> Array:
    learner = learner_of(network, device)
    set_weights(learner, weights)
    return pixels_of(filter_page(filter_bank(learner, layer), network.name).content)


def test_filters_of_colours_are_colours_around_grey(cpu: Device) -> None:
    """Each on its own scale: a filter a hundred times as large looks the same."""
    weights = np.random.default_rng(0).uniform(-1, 1, (4, 4, 3, 6))
    weights[0, 0, :, 2] = (3.0, 0.0, -3.0)
    weights[..., 4] = 100 * weights[..., 1]
    weights[..., 5] = 0
    page = page_of(coloured(3), cpu, {"conv1.weight": weights})
    found = []
    for k in range(6):
        largest = max(abs(weights[..., k]).max(), 1e-9)
        colours = np.array(
            [[[round(255 * (0.5 + w / largest / 2)) for w in pixel] for pixel in row] for row in weights[..., k]]
        )
        found.append(places(page, squares(colours, 16)))
    assert [len(corners) for corners in found] == [1, 2, 1, 1, 2, 1]
    assert found[1] == found[4]
    y, x = found[2][0]
    assert page[y, x].tolist() == [255, 128, 0]
    corners = [found[0][0], *found[1], *(found[k][0] for k in (2, 3, 5))]
    assert len({y for y, _ in corners}) == 1
    assert [x for _, x in (found[0][0], found[1][0], found[2][0], found[3][0], found[1][1], found[5][0])] == sorted(
        x for _, x in corners
    )


def test_filters_of_grey_images_are_red_and_blue(cpu: Device) -> None:
    weights = np.zeros((4, 4, 1, 6))
    weights[1, 2, 0, 0] = 0.25
    weights[3, 0, 0, 0] = -0.25
    expected = np.full((4, 4, 3), WHITE)
    expected[1, 2] = RED
    expected[3, 0] = BLUE
    page = page_of(coloured(1), cpu, {"conv1.weight": weights})
    assert len(places(page, squares(expected, 16))) == 1
    assert len(places(page, squares(np.full((4, 4, 3), WHITE), 16))) == 5


def test_filters_of_other_channels_have_a_picture_for_each(cpu: Device) -> None:
    """Filter 1 of a convolution in two groups: three channels of 2x3, side by side, on one scale."""
    weights = np.zeros((2, 3, 3, 2))
    weights[0, 0, 0, 1] = 2.0
    weights[1, 2, 1, 1] = -2.0
    expected = np.full((3, 2, 3, 3), WHITE)
    expected[0, 0, 0] = RED
    expected[1, 1, 2] = BLUE
    page = page_of(coloured(3), cpu, {"conv2.weight": weights}, "conv2")
    corners = [places(page, squares(channel, 11)) for channel in expected]
    (first,), (second,) = corners[0], corners[1]
    assert first[0] == second[0]
    assert first[1] < second[1]
    assert (second[0], 2 * second[1] - first[1]) in corners[2]


def test_of_many_channels_and_filters_the_first_are_drawn(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 of 20 channels, of 32 pixels each with three between, and as many filters as are wanted."""
    network = Sequential(
        Conv2d(20, 1, name="conv1"), Conv2d(9, 1, name="conv2"), GlobalMeanPool2d(name="mean"), Linear(9, 2, name="fc")
    ).network((4, 4, 3), "deep")
    bank = filter_bank(learner_of(network, cpu), "conv2")
    drawn = drawn_sheet(monkeypatch, "filters", lambda: filter_page(bank, "deep", 5))
    (band,) = drawn.bands
    assert [tile.pixels.shape for tile in band.tiles] == [(32, 16 * 32 + 15 * 3, 3)] * 5
    assert drawn.title == "deep, conv2: the first 5 of 9 filters of 1x1x20"
    assert drawn.lines[-1] == "From left to right the first 16 of its 20 channels."


def test_units_that_see_the_image_are_pictures_of_it(cpu: Device) -> None:
    """A linear layer reads rows, then columns, then channels."""
    network = Sequential(Flatten(name="flat"), Linear(None, 3, name="fc1"), Linear(None, 2, name="fc2")).network(
        (8, 4, 3), "mlp"
    )
    weights = np.zeros((8 * 4 * 3, 3))
    weights[(5 * 4 + 2) * 3 + 1, 1] = 0.5
    weights[(0 * 4 + 3) * 3 + 2, 1] = -0.5
    expected = np.full((8, 4, 3), 128)
    expected[5, 2, 1] = 255
    expected[0, 3, 2] = 0
    page = page_of(network, cpu, {"fc1.weight": weights})
    assert len(places(page, squares(expected, 8))) == 1
    learner = learner_of(network, cpu)
    assert filter_bank(learner).weights.shape == (3, 8, 4, 3)
    with pytest.raises(UsageError, match="layer 'fc2' has no weights that make pictures; take one of fc1"):
        filter_bank(learner, "fc2")
    with pytest.raises(UsageError, match="mlp has no layer 'fc9'; it has image, flat, fc1, fc2"):
        filter_bank(learner, "fc9")


def test_a_network_without_such_weights_has_no_picture(cpu: Device) -> None:
    network = Sequential(GlobalMeanPool2d(), Linear(3, 2)).network((4, 4, 3), "means")
    with pytest.raises(UsageError, match="means has neither a convolution nor a linear layer that sees the image"):
        filter_bank(learner_of(network, cpu))


def test_a_count_limits_the_page(cpu: Device) -> None:
    learner = learner_of(coloured(1), cpu)
    bank = filter_bank(learner)
    assert filter_page(bank, "net").name == "filters-conv1.png"
    heights = [pixels_of(filter_page(bank, "net", count).content).shape for count in (1, 6)]
    assert heights[0] == heights[1]
    tiles = [squares(np.full((4, 4, 3), WHITE), 16)]
    set_weights(learner, {"conv1.weight": np.zeros((4, 4, 1, 6))})
    page = pixels_of(filter_page(filter_bank(learner), "net", 4).content)
    assert len(places(page, tiles[0])) == 4
