"""The list of mistakes against images whose answers follow from weights that the test has set."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from math import exp, log

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gpunn.backend.contract import Device
from gpunn.data.loading.batch import Batch
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.layers import Flatten, Linear
from gpunn.network import Sequential
from gpunn.training.learner import Learner
from gpunn.visualization.confusion_page import accuracies, confusion_page
from gpunn.visualization.mistakes import Examination, examine
from gpunn.visualization.mistakes_page import mistakes_page, mistakes_table
from tests.visualization.samples import Array, batch_of, learner_of, pixels_of, places, set_weights, squares

CLASSES = ("red", "green", "blue")
#: Colours of the three pixels' only image row, and labels; the score of a class is four times its channel.
IMAGES = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 51, 204], [255, 102, 51], [0, 0, 0], [153, 204, 0], [255, 0, 255]], np.uint8
).reshape(7, 1, 1, 3)
LABELS = np.array([0, 0, 2, 2, 0, 0, 2])


def loss_of(image: int) -> float:
    """Minus the logarithm of the label's share, in Python's numbers."""
    scores = [4 * value / 255 for value in IMAGES[image].ravel().tolist()]
    return log(sum(map(exp, scores))) - scores[LABELS[image]]


@pytest.fixture
def learner(cpu: Device) -> Learner:
    network = Sequential(Flatten(name="flat"), Linear(3, 3, name="fc")).network((1, 1, 3), "colours")
    made = learner_of(network, cpu)
    set_weights(made, {"fc.weight": 4 * np.eye(3), "fc.bias": np.zeros(3)})
    return made


def batches(size: int) -> Iterator[Batch]:
    """In memory that is written over, as the loader's is."""
    memory = np.zeros((size, 1, 1, 3), np.uint8)
    for start in range(0, len(IMAGES), size):
        count = len(IMAGES[start : start + size])
        memory[:count] = IMAGES[start : start + size]
        batch = batch_of(memory[:count], LABELS[start : start + size])
        batch.indices[:] += start
        yield batch


@pytest.mark.parametrize("size", [1, 3, 7])
def test_mistakes_come_with_the_largest_loss_first(learner: Learner, size: int) -> None:
    """Image 6 has two equal scores: the first of them is what it is taken for. Image 4, all black, is right so."""
    found = examine(learner, batches(size), 3, 10)
    assert found.images == 7
    assert found.wrong == 4
    wrong = sorted([1, 3, 5, 6], key=loss_of, reverse=True)
    assert [mistake.index for mistake in found.mistakes] == wrong
    assert [(mistake.label, mistake.predicted) for mistake in found.mistakes] == [
        (LABELS[index], {1: 1, 3: 0, 5: 1, 6: 0}[index]) for index in wrong
    ]
    for mistake in found.mistakes:
        assert mistake.loss == pytest.approx(loss_of(mistake.index), rel=1e-12)
        scores = IMAGES[mistake.index].ravel() / 255 * 4
        assert mistake.probability == pytest.approx(exp(scores.max()) / sum(map(exp, scores)), rel=1e-12)
    assert len(found.pictures) == 4
    for mistake, picture in zip(found.mistakes, found.pictures, strict=True):
        np.testing.assert_array_equal(picture, IMAGES[mistake.index])
    assert found.confusion.tolist() == [[2, 2, 0], [0, 0, 0], [2, 0, 1]]


def test_pictures_are_kept_of_the_worst_only(learner: Learner) -> None:
    wrong = sorted([1, 3, 5, 6], key=loss_of, reverse=True)
    found = examine(learner, batches(2), 3, 2)
    assert [mistake.index for mistake in found.mistakes] == wrong
    assert len(found.pictures) == 2
    for index, picture in zip(wrong, found.pictures, strict=False):
        np.testing.assert_array_equal(picture, IMAGES[index])


def dataset() -> ArrayDataset:
    return ArrayDataset(IMAGES, LABELS, CLASSES)


@pytest.mark.parametrize("count", [2, 10])
def test_the_page_shows_the_worst(learner: Learner, count: int) -> None:
    page = mistakes_page(examine(learner, batches(7), 3, count), CLASSES, dataset(), "colours")
    assert page.name == "errors.png"
    pixels = pixels_of(page.content)
    shown = [index for index in range(7) if places(pixels, squares(IMAGES[index], 192))]
    assert shown == sorted(sorted([1, 3, 5, 6], key=loss_of, reverse=True)[:count])


def test_the_table_names_all_of_them_whole(learner: Learner) -> None:
    page = mistakes_table(examine(learner, batches(7), 3, 1), CLASSES, dataset())
    header, *rows = csv.reader(io.StringIO(page.content.decode()))
    assert header == ["image", "class", "taken_for", "probability", "loss"]
    wrong = sorted([1, 3, 5, 6], key=loss_of, reverse=True)
    assert [row[0] for row in rows] == [dataset().name(index) for index in wrong]
    assert rows[0][:3] == [dataset().name(1), "red", "green"]
    assert [float(row[4]) for row in rows] == [pytest.approx(loss_of(index), abs=1e-6) for index in wrong]


def test_without_mistakes_the_page_says_so(learner: Learner) -> None:
    right = Batch(IMAGES[:1], np.zeros(1, np.int32), np.zeros((1, 3), np.int32), np.zeros(1, np.int64))
    found = examine(learner, [right], 3, 5)
    assert (found.mistakes, found.wrong, found.images) == ((), 0, 1)
    assert pixels_of(mistakes_page(found, CLASSES, dataset(), "colours").content).ndim == 3


def test_accuracy_of_a_class_is_its_share_on_the_diagonal() -> None:
    found = accuracies(np.array([[2, 2, 0], [0, 0, 0], [3, 0, 9]]))
    assert found[[0, 2]].tolist() == [0.5, 0.75]
    assert np.isnan(found[1])


def matrix(classes: int) -> Array:
    return np.random.default_rng(0).integers(0, 5, (classes, classes)).astype(np.int64)


@pytest.mark.parametrize("classes", [2, 30, 400])
def test_a_confusion_matrix_is_drawn_for_any_number_of_classes(classes: int) -> None:
    """Also where names are long, or read like mathematics."""
    names = tuple(f"{'a very long name of a ' if classes == 30 else '$x_'}class {k}" for k in range(classes))
    confusion = matrix(classes)
    confusion[0] = 0
    page = confusion_page(Examination((), (), confusion), names, "net")
    assert page.name == "confusion.png"
    height, width, _ = pixels_of(page.content).shape
    assert 500 < height < 1600
    assert 900 < width < 3000


def drawn(monkeypatch: pytest.MonkeyPatch, confusion: Array) -> list[Axes]:
    """The matrix and the bars, as they are before they become pixels."""
    figures: list[Figure] = []

    def kept(figure: Figure, file: object, format: str) -> None:
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", kept)
    confusion_page(Examination((), (), confusion), tuple(f"c{k}" for k in range(len(confusion))), "net")
    (figure,) = figures
    return figure.axes


def test_numbers_of_the_matrix_and_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes are red where they are light enough to be read on."""
    matrix_axes, bars = drawn(monkeypatch, np.array([[6, 2, 2], [0, 0, 0], [0, 9, 1]]))
    shown = {text.get_position()[::-1]: (text.get_text(), text.get_color()) for text in matrix_axes.texts}
    red = "#d1495b"
    assert shown == {(0, 0): ("6", "white"), (0, 1): ("2", red), (0, 2): ("2", red), (2, 1): ("9", "white")} | {
        (2, 2): ("1", "black")
    }
    assert [text.get_text() for text in bars.texts] == ["60.0% of 10", "no images", "10.0% of 10"]


def test_of_many_classes_the_least_recognised_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Class k has k hits in 100: the 25 that are lowest, in that order; those without images come last."""
    right = np.arange(60)
    confusion = np.diag(right)
    confusion[right, (right + 1) % 60] = 100 - right
    confusion[3] = 0
    matrix_axes, bars = drawn(monkeypatch, confusion)
    assert not matrix_axes.texts
    assert [label.get_text() for label in bars.get_yticklabels()] == [f"c{k}" for k in range(26) if k != 3]
    assert bars.get_title() == "The 25 classes recognised least"
