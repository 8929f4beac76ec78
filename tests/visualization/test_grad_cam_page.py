"""The page of a map whose one bright cell is known."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.layers import Conv2d, GlobalMeanPool2d, Linear, ReLU
from gpunn.network import Sequential
from gpunn.visualization.grad_cam_page import grad_cam_page
from gpunn.visualization.run_view import likely_classes
from gpunn.visualization.sheet import Sheet
from tests.visualization.samples import batch_of, drawn_sheet, learner_of, run_of, seen, set_weights

CLASSES = ("cross", "none")
#: The ends of matplotlib's inferno.
BLACK, BRIGHT = (0, 0, 3), (252, 255, 164)


def page_of(cpu: Device, monkeypatch: pytest.MonkeyPatch, wanted: str | None = None) -> Sheet:
    """A white pixel in row 1, column 5 of 4x8 pixels, and a filter of one pixel that speaks for the first class."""
    network = Sequential(
        Conv2d(1, 1, name="conv"), ReLU(name="relu"), GlobalMeanPool2d(name="mean"), Linear(1, 2, name="scores")
    ).network((4, 8, 1), "pixels")
    learner = learner_of(network, cpu)
    weights = {"conv.weight": np.ones((1, 1, 1, 1)), "conv.bias": np.zeros(1)}
    weights |= {"scores.weight": np.array([[64.0, -64.0]]), "scores.bias": np.zeros(2)}
    set_weights(learner, weights)
    image = np.zeros((1, 4, 8, 1), np.uint8)
    image[0, 1, 5] = 255
    looked_at = seen(learner, image)
    assert looked_at.batch.images.shape == batch_of(image).images.shape
    return drawn_sheet(monkeypatch, "grad_cam_page", lambda: grad_cam_page(run_of(learner, CLASSES), looked_at, wanted))


def test_the_bright_cell_is_where_the_pixel_is(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """320 pixels for eight columns, so cells of 40."""
    drawn = page_of(cpu, monkeypatch)
    picture, cells, both = (tile.pixels.astype(int) for tile in drawn.bands[0].tiles)
    assert picture.shape == cells.shape == both.shape == (160, 320, 3)
    expected = np.full((160, 320, 3), BLACK)
    expected[40:80, 200:240] = BRIGHT
    np.testing.assert_allclose(cells, expected, atol=1)
    assert (picture[40:80, 200:240] == 255).all()
    # Over the image the map is smooth, and largest in the middle of the cell; far from it, all is dimmed black.
    row, column = np.unravel_index(both.sum(axis=2).argmax(), both.shape[:2])
    assert row in (59, 60)
    assert column in (219, 220)
    assert (both[:, :150] == 0).all()
    assert (both[130:] == 0).all()


def test_a_class_that_nothing_speaks_for(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score of 2 against -2: 98.2% and 1.8%."""
    for wanted, told in (("cross", "Bright is what raises the score of"), ("none", "Nothing here raises the score of")):
        drawn = page_of(cpu, monkeypatch, wanted)
        assert drawn.lines[0] == "The network says cross (98.2%), none (1.8%)."
        assert drawn.lines[1].startswith(f"{told} '{wanted}'")
        assert len(drawn.lines) == 2


def test_the_most_likely_classes_are_named_first(cpu: Device) -> None:
    network = Sequential(GlobalMeanPool2d(name="mean"), Linear(1, 4, name="scores")).network((2, 2, 1), "net")
    learner = learner_of(network, cpu)
    shares = np.array([0.125, 0.5, 0.25, 0.125])
    set_weights(learner, {"scores.weight": np.zeros((1, 4)), "scores.bias": np.log(shares)})
    looked_at = seen(learner, np.zeros((1, 2, 2, 1), np.uint8))
    run = run_of(learner, ("a", "b", "c", "d"))
    assert likely_classes(run, looked_at) == "b (50.0%), c (25.0%), a (12.5%)"
