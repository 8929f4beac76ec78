from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from gpunn.backend.cpu.shared import windows as tested
from gpunn.backend.cpu.shared.windows import WindowBlock, output_blocks, pixel_blocks, reduce_windows, windows
from gpunn.geometry import Padding, Pair, Pool2dGeometry

GEOMETRIES = {
    "overlapping": Pool2dGeometry(1, 11, 8, 1, 3, 3, Pair(2, 2)),
    "padded, one stride for rows and one for columns": Pool2dGeometry(
        1, 9, 7, 1, 3, 5, Pair(2, 3), Padding(1, 2, 2, 0)
    ),
    "pixels between the windows": Pool2dGeometry(1, 10, 9, 1, 2, 2, Pair(3, 4)),
    "pixels behind the windows": Pool2dGeometry(1, 7, 7, 1, 2, 2, Pair(2, 2)),
    "rounded up": Pool2dGeometry(1, 8, 6, 1, 3, 3, Pair(2, 2), Padding(0, 0, 0, 0), True),
    "stride 1": Pool2dGeometry(1, 5, 6, 1, 4, 2),
    "more stride than image": Pool2dGeometry(1, 2, 3, 1, 2, 2, Pair(5, 5)),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rectangles are cut along rows and columns, as large ones are."""
    monkeypatch.setattr(tested, "OUTPUT_BLOCK", 8)
    monkeypatch.setattr(tested, "PIXEL_BLOCK", 8)
    monkeypatch.setattr(tested, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(tested, "SMALL_RECTANGLE", 1)
    for cut in (output_blocks, pixel_blocks):
        cut.cache_clear()
    yield
    for cut in (output_blocks, pixel_blocks):
        cut.cache_clear()


def met(geometry: Pool2dGeometry) -> Iterator[tuple[tuple[int, int], tuple[int, int], int]]:
    """Output, pixel and place of every pixel that a window holds, by the definition."""
    for p, q, r, s in product(*(range(extent) for extent in (geometry.P, geometry.Q, geometry.R, geometry.S))):
        h = p * geometry.stride.rows + r - geometry.padding.top
        w = q * geometry.stride.columns + s - geometry.padding.left
        if 0 <= h < geometry.H and 0 <= w < geometry.W:
            yield (p, q), (h, w), r * geometry.S + s


def read(
    blocks: tuple[WindowBlock, ...], results: tuple[int, int], inputs: tuple[int, int], contiguous: bool
) -> tuple[Counter[tuple[int, int]], Counter[tuple[tuple[int, int], tuple[int, int], int]]]:
    """The results that blocks write, and (result, input, place) of all that they read."""
    where = np.arange(results[0] * results[1]).reshape(results)
    numbered = np.arange(inputs[0] * inputs[1]).reshape(*inputs, 1, 1)
    array = numbered if contiguous else np.repeat(numbered, 3, axis=3)[..., 1:2]
    written: Counter[tuple[int, int]] = Counter()
    found: Counter[tuple[tuple[int, int], tuple[int, int], int]] = Counter()
    for block in blocks:
        area = where[block.area]
        written.update(divmod(int(number), results[1]) for number in area.ravel())
        if not block.numbers.size:
            continue
        view = windows(array, block)
        assert view.shape == (*block.numbers.shape[:2], *area.shape, 1, 1)
        for index in np.ndindex(view.shape[:4]):
            place = int(block.numbers[index[0], index[1], 0, 0, 0, 0])
            result = divmod(int(area[index[2], index[3]]), results[1])
            found[result, divmod(int(view[(*index, 0, 0)]), inputs[1]), place] += 1
    return written, found


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_every_output_reads_its_window_once(geometry: Pool2dGeometry, contiguous: bool) -> None:
    image, outputs = (geometry.H, geometry.W), (geometry.P, geometry.Q)
    written, found = read(output_blocks(geometry, 2), outputs, image, contiguous)
    assert written == Counter(np.ndindex(outputs))
    assert found == Counter(met(geometry))


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_every_pixel_reads_the_outputs_that_hold_it_once(geometry: Pool2dGeometry, contiguous: bool) -> None:
    image, outputs = (geometry.H, geometry.W), (geometry.P, geometry.Q)
    written, found = read(pixel_blocks(geometry, 2), image, outputs, contiguous)
    assert written == Counter(np.ndindex(image))
    assert found == Counter((pixel, output, place) for output, pixel, place in met(geometry))


@pytest.mark.parametrize(("threads", "expected"), [(1, 3), (2, 4), (4, 4), (5, 5)])
def test_large_rectangles_are_cut_for_the_threads(monkeypatch: pytest.MonkeyPatch, threads: int, expected: int) -> None:
    """5 x 3 windows of 3 x 3 pixels are 135 numbers: three blocks of 64, or as many as suit the threads."""
    monkeypatch.setattr(tested, "OUTPUT_BLOCK", 64)
    blocks = output_blocks(GEOMETRIES["overlapping"], threads)
    assert len(blocks) == expected
    assert max(block.extents[0] * block.extents[1] * block.numbers.size for block in blocks) <= 64


def test_layers_that_no_thread_is_worth_waking_for_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 x 3 windows of 3 x 3 pixels, each gone over by one and a half calls."""
    monkeypatch.setattr(tested, "OUTPUT_BLOCK", 1000)
    monkeypatch.setattr(tested, "WORTH_A_THREAD", 203)
    assert len(output_blocks(GEOMETRIES["overlapping"], 2)) == 1
    output_blocks.cache_clear()
    monkeypatch.setattr(tested, "WORTH_A_THREAD", 202)
    assert len(output_blocks(GEOMETRIES["overlapping"], 2)) == 2


@pytest.mark.parametrize("run", [tested.SHORT_RUN - 1, tested.SHORT_RUN])
@pytest.mark.parametrize("places", [(1, 1), (1, 2), (3, 2)])
def test_places_are_reduced_however_long_their_runs_are(run: int, places: tuple[int, int]) -> None:
    view = np.random.default_rng(0).integers(-99, 99, (*places, 2, 3, 1, run)).astype(np.float32)
    result = np.full(view.shape[2:], np.nan, np.float32)
    reduce_windows(np.add, result, view)
    expected = sum(view[r, s] for r in range(places[0]) for s in range(places[1]))
    np.testing.assert_array_equal(result, expected)
