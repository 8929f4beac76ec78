"""A timing report as one picture: times of layers, speed-up, images a second, roofline."""

from gpunn.timing.charts.chart import chart_format, draw_chart, figure_of

__all__ = ["chart_format", "draw_chart", "figure_of"]
