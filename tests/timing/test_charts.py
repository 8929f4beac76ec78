"""The chart of a timing report: what is drawn is what the report says, and it can be read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gpunn.errors import DataError, UsageError
from gpunn.models import model
from gpunn.timing.charts import chart_format, draw_chart, figure_of
from gpunn.timing.report import Ceilings, Load, TimingReport
from gpunn.timing.stopwatch import Times
from tests.timing.reports import CPU, GPU, GPU_PEER, PEER, device_of, layer, report_of

ROOFLINE = "operations a byte that has to be moved (FLOP/B)"


def reported(*devices: Any, model: str = "lenet") -> TimingReport:
    return TimingReport(model, 10, "float32", devices, {"gpunn": "0.1.0"})


def words_of(figure: Figure) -> list[str]:
    """Every text that is not empty, wherever it stands."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")) if text.get_text()]


def panel(figure: Figure, label: str) -> Axes:
    """The panel below which these words stand."""
    (found,) = [axes for axes in figure.findobj(Axes) if axes.get_xlabel() == label]
    return found


def time_panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.findobj(Axes) if axes.get_xlabel().startswith("ms")]


def widths(axes: Axes) -> list[float]:
    return [bar.get_width() for bar in bars(axes)]


def bars(axes: Axes) -> Iterator[Any]:
    for container in axes.containers:
        yield from getattr(container, "patches", ())


def names_of(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg16"])
def test_the_bars_are_the_milliseconds_of_every_layer_in_order(name: str) -> None:
    report = report_of(name, 16, CPU, GPU)
    figure = figure_of(report)
    chosen = model(name)
    order = [node.name for node in chosen.build(chosen.image, chosen.classes).nodes[1:]]
    shown = ["input", *(one for one in order if one != "flatten"), "loss", "optimizer"]
    panels = time_panels(figure)
    assert names_of(panels[0]) == shown
    for axes, device in zip(panels, report.devices, strict=True):
        forward, backward = axes.containers
        times = {row.name: row for row in device.layers}
        assert [bar.get_width() for bar in forward] == pytest.approx([times[one].forward_ms for one in shown])
        assert [bar.get_width() for bar in backward] == pytest.approx([times[one].backward_ms for one in shown])
        # Stacked: a backward pass begins where its forward pass ends.
        assert [bar.get_x() for bar in backward] == pytest.approx([times[one].forward_ms for one in shown])
        top, bottom = axes.get_ylim()
        assert top > bottom
        assert [bar.get_y() for bar in forward] == sorted(bar.get_y() for bar in forward)
    assert "left out: 1 layer without time" in "".join(words_of(figure))


def test_every_bar_ends_inside_its_panel_with_its_figure() -> None:
    figure = figure_of(report_of("alexnet", 128, CPU, GPU))
    figure.draw_without_rendering()
    for axes in [*time_panels(figure), panel(figure, "times as fast as cpu")]:
        edge = axes.get_window_extent()
        for text in axes.texts:
            box = text.get_window_extent()
            assert edge.x0 <= box.x0
            assert box.x1 <= edge.x1 + 4


def test_a_speed_up_is_the_quotient_of_the_times_and_slower_layers_go_the_other_way() -> None:
    slow = device_of("cpu", layer("conv1", 30, 70), layer("relu1", 1), layer("free", 0), layer("loss", 5))
    fast = device_of("cuda", layer("conv1", 0.1, 0.1), layer("relu1", 10), layer("free", 0), layer("other", 1))
    figure = figure_of(reported(slow, fast))
    axes = panel(figure, "times as fast as cpu")
    assert names_of(time_panels(figure)[0]) == ["conv1", "relu1", "other", "loss"]
    times_sign = "\N{MULTIPLICATION SIGN}"
    assert [text.get_text() for text in axes.texts] == [f"500{times_sign}", f"0.10{times_sign}"]
    # From 1, where both are as fast: to 500 and to 0.1.
    assert widths(axes) == pytest.approx([499, -0.9])
    assert axes.get_xlim()[0] < 0.1
    assert axes.get_xlim()[1] > 500
    assert axes.get_xscale() == "log"
    words = words_of(figure)
    assert f"cuda\n9.5{times_sign} as fast (dashed)" in words
    assert words.count("no such layer") == 2


def test_what_is_not_worth_comparing_is_not_compared() -> None:
    steady, other = (device_of(name, layer("conv1", time)) for name, time in (("cpu", 8), ("cuda", 2)))
    wide = replace(device_of("pytorch:cpu", layer("conv1", 16)), step_ms=Times(16, 4, 20))
    figure = figure_of(reported(steady, wide))
    words = words_of(figure)
    assert not any("\N{MULTIPLICATION SIGN}" in word or "times as fast" in word for word in words)
    assert any(word.startswith("warning: samples of pytorch:cpu lie more than 3 times apart") for word in words)
    assert len(time_panels(figure)) == 2
    among = figure_of(reported(steady, wide, other))
    (line,) = [line for line in panel(among, "times as fast as cpu").lines if line.get_linestyle() == "--"]
    assert list(line.get_xdata()) == [4, 4]
    assert not any("\N{MULTIPLICATION SIGN}" in word for word in words_of(figure_of(reported(steady, wide))))


def test_a_warning_covers_nothing() -> None:
    report = report_of("lenet", 8, CPU, GPU)
    figure = figure_of(replace(report, load=Load(9.5, 2)))
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    (warning,) = [text for text in figure.texts if text.get_text().startswith("warning: the machine was busy")]
    box = warning.get_window_extent(renderer)
    assert box.x1 < figure.bbox.x1
    for axes in figure.findobj(Axes):
        assert not axes.get_tightbbox(renderer).overlaps(box)
    assert not any(text is not warning and text.get_window_extent(renderer).overlaps(box) for text in figure.texts)


def test_of_three_devices_each_is_held_against_the_first() -> None:
    devices = [device_of(name, layer("conv1", time)) for name, time in (("cpu", 8), ("cuda", 2), ("pytorch:cpu", 16))]
    axes = panel(figure_of(reported(*devices)), "times as fast as cpu")
    drawn = [list(line.get_xdata()) for line in axes.lines if line.get_marker() in ("s", "^")]
    assert drawn == [[4], [0.5]]


def test_a_device_without_layers_has_rates_but_no_column() -> None:
    first = device_of("cpu", layer("conv1", 8))
    second = replace(first, device="pytorch:cpu", layers=())
    figure = figure_of(reported(first, second))
    assert len(time_panels(figure)) == 1
    assert any(word.startswith("pytorch:cpu") for word in words_of(figure))


def test_without_layers_there_are_rates_alone() -> None:
    report = report_of("alexnet", 128, CPU, GPU, layers=False)
    figure = figure_of(report)
    (axes,) = figure.findobj(Axes)
    assert widths(axes) == pytest.approx(
        [
            *(device.training_images_per_second for device in report.devices),
            *(device.inference_images_per_second for device in report.devices),
        ]
    )


def test_whiskers_reach_from_the_slowest_sample_to_the_fastest() -> None:
    # Steps of 100 ms, 90 to 120, for ten images; inference takes 25 ms, 20 to 50.
    figure = figure_of(reported(device_of("cpu", layer("conv1", 100))))
    words = words_of(figure)
    assert "100  (83.3 to 111)" in words
    assert "400  (200 to 500)" in words


@pytest.mark.parametrize(("executed", "counted"), [(3_000_000, 3_000_000), (9_000_000, 6_000_000)])
def test_the_roofline_counts_what_is_needed(executed: int, counted: int) -> None:
    """Winograd's algorithm does with fewer operations than the layer has; what tiles do in vain achieves nothing."""
    row = replace(layer("conv1", 2, 3, flops=6_000_000, moved=1_500_000), executed_flops=executed)
    figure = figure_of(reported(device_of("cpu", row, ceilings=Ceilings(2e9, 1e9, "a product"))))
    (point,) = panel(figure, ROOFLINE).collections
    assert point.get_offsets().tolist() == [[counted / 1_500_000, pytest.approx(counted / 0.005)]]


def test_the_head_says_which_convolutions_were_asked_for() -> None:
    report = report_of("lenet", 8, CPU, layers=False)
    assert "lenet, batch of 8, float32" in words_of(figure_of(report))
    title = "lenet, batch of 8, float32, winograd convolutions on the CPU"
    assert title in words_of(figure_of(replace(report, algorithm="winograd")))


def test_the_foot_says_which_averages_are_drawn() -> None:
    both, alone = (words_of(figure_of(report_of("lenet", 8, CPU, layers=layers))) for layers in (True, False))
    assert any("layers: means over the middle half of the steps; rates: medians of samples" in text for text in both)
    assert any(text.startswith("rates: medians of samples taken in turn") for text in alone)


def test_a_point_of_the_roofline_is_operations_over_bytes_and_over_time() -> None:
    ceilings = Ceilings(2e9, 1e9, "a product")
    rows = (layer("conv1", 2, 3, flops=6_000_000, moved=1_500_000), layer("relu1", 5, moved=9), layer("fc", 0, 0, 9, 9))
    figure = figure_of(reported(device_of("cpu", *rows, ceilings=ceilings)))
    axes = panel(figure, ROOFLINE)
    (point,) = axes.collections
    assert point.get_offsets().tolist() == [[4.0, pytest.approx(1.2e9)]]
    (line,) = axes.lines
    roof = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    # Two operations a byte are where the slope meets the flat part.
    assert roof[2.0] == 2e9
    assert roof[max(roof)] == 2e9
    assert roof[min(roof)] == pytest.approx(min(roof) * 1e9)
    words = words_of(figure)
    assert "2 GFLOP/s, a product" in words
    assert "1 GB/s, copy" in words
    assert axes.get_xscale() == axes.get_yscale() == "log"


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg16"])
def test_names_on_the_roofline_cover_neither_each_other_nor_points_and_name_the_largest(name: str) -> None:
    figure = figure_of(report_of(name, 64, CPU, GPU))
    figure.draw_without_rendering()
    axes = panel(figure, ROOFLINE)
    boxes = [(text.get_text(), text.get_window_extent()) for text in axes.texts]
    for position, (_, box) in enumerate(boxes):
        for _, other in boxes[position + 1 :]:
            assert not box.overlaps(other)
    names = [(text, box) for text, box in boxes if text.startswith(("conv", "fc"))]
    centres = [axes.transData.transform(point.get_offsets()[0]) for point in axes.collections]
    for _, box in names:
        assert not any(box.contains(*centre) for centre in centres)
        edge = axes.get_window_extent()
        assert edge.x0 <= box.x0
        assert box.x1 <= edge.x1
    largest = max(report_of(name, 64, CPU).devices[0].layers, key=lambda row: row.forward_ms + row.backward_ms)
    assert largest.name in {text for text, _ in names}
    assert len(names) >= 4


def test_every_layer_of_a_small_network_is_named_on_the_roofline() -> None:
    rows = (layer("conv1", 700, flops=7 * 10**12, moved=10**9), layer("fc4", 0.1, flops=10**7, moved=10**7))
    figure = figure_of(reported(device_of("cpu", *rows, ceilings=Ceilings(2e13, 1e10, "a product"))))
    assert {"conv1", "fc4"} <= {text.get_text() for text in panel(figure, ROOFLINE).texts}


@pytest.mark.parametrize("above", [1.3, 1.5, 1.8])
def test_the_words_along_a_slope_make_way_for_a_point(above: float) -> None:
    """A point of a fast device right above the middle of a slow one's slope, where its words would stand."""
    fast, slow = Ceilings(1e12, 1e11, "a product"), Ceilings(1e10, 1e9, "a product")
    middle = (0.1 * 10 * 10) ** 0.5
    rows = [layer("conv1", 1, flops=round(middle * 1e6), moved=10**6)]
    first = device_of("fast", replace(rows[0], forward_ms=middle * 1e6 / (1e9 * middle * above) * 1e3), ceilings=fast)
    second = device_of("slow", layer("conv1", 100, flops=10**8, moved=10**7), ceilings=slow)
    figure = figure_of(reported(first, second))
    figure.draw_without_rendering()
    axes = panel(figure, ROOFLINE)
    (words,) = [text for text in axes.texts if text.get_text() == "1 GB/s, copy"]
    x, y = axes.transData.transform(axes.collections[0].get_offsets()[0])
    anchor = axes.transData.transform(words.xy)
    angle = np.deg2rad(words.get_rotation())
    along = (x - anchor[0]) * np.cos(angle) + (y - anchor[1]) * np.sin(angle)
    across = (y - anchor[1]) * np.cos(angle) - (x - anchor[0]) * np.sin(angle)
    below = words.get_va() == "top"
    assert abs(along) > 45 or (across > 0) == below
    assert "conv1" in {text.get_text() for text in axes.texts}


def test_columns_of_several_devices_say_that_each_has_its_own_scale() -> None:
    labels = [
        {axes.get_xlabel() for axes in time_panels(figure_of(report_of("lenet", 8, *them)))}
        for them in ((CPU,), (CPU, GPU))
    ]
    assert labels == [{"ms"}, {"ms, a scale of its own"}]


def test_shares_of_the_ceiling_stand_beside_a_single_device_and_may_be_missing() -> None:
    rows = (
        replace(layer("conv1", 4), share_of_ceiling=0.625),
        layer("relu1", 1),
        replace(layer("fc", 2), share_of_ceiling=1.5),
    )
    figure = figure_of(reported(device_of("cpu", *rows)))
    axes = panel(figure, "floor / time")
    assert widths(axes) == [0.625, 1.5]
    assert [text.get_text() for text in axes.texts] == ["62%", "150%"]
    nobody = figure_of(reported(device_of("cpu", layer("conv1", 4))))
    assert not [axes for axes in nobody.findobj(Axes) if axes.get_xlabel() == "floor / time"]


def test_the_head_says_model_batch_precision_and_devices_with_their_names() -> None:
    words = words_of(figure_of(report_of("alexnet", 1280, CPU, GPU)))
    assert "alexnet, batch of 1,280, float32" in words
    assert "cpu: AMD EPYC 9B14 96-Core Processor, 2 threads" in words
    assert "cuda:0: Invented GPU, 80 GB" in words
    assert {"dark: forward", "light: backward"} <= set(words)
    assert any("numpy 2.4.6" in word for word in words)


def test_forward_is_darker_than_backward_and_devices_differ_in_colour() -> None:
    figure = figure_of(report_of("lenet", 64, CPU, GPU, PEER, GPU_PEER))
    seen = []
    for axes in time_panels(figure):
        forward, backward = (container[0].get_facecolor()[:3] for container in axes.containers)
        assert sum(forward) + 0.5 < sum(backward)
        seen.append(forward)
    assert len(set(seen)) == 4


def test_many_layers_are_shown_with_the_small_ones_in_one_row_and_nothing_is_lost() -> None:
    rows = [layer(f"layer{number}", 1 + number % 60, 2) for number in range(150)]
    figure = figure_of(reported(device_of("cpu", *rows)))
    (axes,) = time_panels(figure)
    names = names_of(axes)
    assert len(names) <= 46
    assert names[-1] == f"{150 - len(names) + 1} small ones"
    assert sum(widths(axes)) == pytest.approx(sum(row.forward_ms + row.backward_ms for row in rows))
    assert "layer0" not in names
    assert "layer59" in names


def test_long_names_and_signs_of_mathematics_are_shortened_and_kept_as_they_are() -> None:
    long = "features.block_$17$.branch_left.convolution_3x3_reduced"
    chip = "A Chip With $o Many Words In Its Name " * 4
    figure = figure_of(reported(device_of("cpu", layer(long, 3, 4, 10, 10), name=chip), model="my_$net$"))
    (name,) = names_of(time_panels(figure)[0])
    assert len(name) == 24
    assert name.startswith("features.bl")
    assert name.endswith("_3x3_reduced")
    words = words_of(figure)
    assert "my_$net$, batch of 10, float32" in words
    assert time_panels(figure)[0].get_window_extent().width > 500


def test_nothing_takes_time() -> None:
    figure = figure_of(reported(device_of("cpu", layer("conv1", 0, 0)), device_of("cuda", layer("conv1", 0, 0))))
    assert time_panels(figure) == []


def test_a_file_is_as_large_as_a_slide_and_the_only_one(tmp_path: Path) -> None:
    path = tmp_path / "chart.png"
    draw_chart(report_of("lenet", 64, CPU, GPU), path)
    with Image.open(path) as picture:
        assert picture.size == (1600, 900)
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 100
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("ending", "first"), [("svg", b"<?xml"), ("PDF", b"%PDF"), ("jpg", b"\xff\xd8")])
def test_the_ending_decides_what_is_written(tmp_path: Path, ending: str, first: bytes) -> None:
    path = tmp_path / f"chart.{ending}"
    draw_chart(report_of("lenet", 64, CPU), path)
    assert path.read_bytes().startswith(first)


@pytest.mark.parametrize("name", ["chart.doc", "chart", "chart.pgf", ".png"])
def test_another_ending_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=r"\.jpg.*\.pdf.*\.png.*\.svg"):
        chart_format(Path(name))


def test_a_folder_that_is_not_there_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone/chart\.png.*create it, or give another file with --plot"):
        draw_chart(report_of("lenet", 64, CPU, layers=False), tmp_path / "gone" / "chart.png")


def test_a_report_comes_back_from_its_json_and_looks_the_same() -> None:
    report = reported(
        device_of("cpu", replace(layer("conv1", 3, 4, 5, 6), both_ms=Times(7, 6, 9)), layer("relu1", 1)),
        replace(device_of("cuda", layer("conv1", 1), ceilings=Ceilings(3, 4, "a product")), threads=2, cores=(0, 3)),
    )
    again = TimingReport.from_json(json.loads(json.dumps(report.as_json())))
    assert again == report
    assert words_of(figure_of(again)) == words_of(figure_of(report))


@pytest.mark.parametrize("document", [{}, {"devices": [{}]}, {"devices": [], "colour": "red"}, {"devices": 3}])
def test_what_is_no_report_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="gpunn time --json"):
        TimingReport.from_json(document)


def test_matplotlib_is_imported_only_when_drawing_and_pyplot_never() -> None:
    program = """
import sys
from gpunn.timing.charts import figure_of
from gpunn.timing.report import TimingReport
assert "matplotlib" not in sys.modules
figure_of(TimingReport("lenet", 1, "float32", (), {}))
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
