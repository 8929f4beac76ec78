"""Wrong kernels: what is computed or where it stops is changed in one place of each file, or of a header.

Most are off by one in a bound or leave out a check at a border.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.backend.cuda.launching.source import kernel_folder


@dataclass(frozen=True)
class Change:
    """Some code of a file, wherever it stands in it, and what is written instead.

    Attributes:
        through: the kernel file that shows it; the file itself when it is one.
    """

    file: str
    right: str
    wrong: str
    through: str = ""

    @property
    def kernel_file(self) -> str:
        """The file whose exercises are to notice."""
        return self.through or self.file

    @property
    def text(self) -> str:
        """The file with the change.

        Raises:
            ValueError: when the code is not in the file.
        """
        text = (kernel_folder() / self.file).read_text()
        if self.right not in text:
            raise ValueError(f"{self.file} no longer has {self.right!r}: change something else there")
        return text.replace(self.right, self.wrong)

    def __str__(self) -> str:
        return f"{self.file}: {self.right} -> {self.wrong}"


DATA, DATA_TENSOR = "convolution2d_backward_data.cu", "convolution2d_backward_data_tensor.cu"
FILTER, FILTER_TENSOR = "convolution2d_backward_filter.cu", "convolution2d_backward_filter_tensor.cu"
FORWARD, FORWARD_TENSOR = "convolution2d_forward.cu", "convolution2d_forward_tensor.cu"

CHANGES = (
    Change("activation.cu", "case STEP: return work(Step())", "case STEP: return work(Linear())"),
    Change("activation_functions.cuh", "x > a * x ? x : a * x", "x < a * x ? x : a * x", "activation.cu"),
    Change("adagrad.cu", "fmaf(g, g, r[i])", "g * g"),
    Change("adam.cu", "step[0] + 1", "step[0]"),
    Change("add.cu", "if (d) add_to", "if (c) add_to"),
    Change("advance.cu", "latched_step[0] >= 0", "latched_step[0] > 0"),
    Change("batch_norm.cu", "rows > 1 ?", "rows > 0 ?"),
    Change("batch_norm.cu", "slice < slices", "slice + 1 < slices"),
    Change("binary_cross_entropy.cu", "- x * t", "+ x * t"),
    Change("chunks.cuh", "row < chunks", "row <= chunks", "sgd.cu"),
    Change("clip_global_norm.cu", "length > maximum ?", "length < maximum ?"),
    Change("column_sums.cu", "channel >= channels", "channel > channels"),
    Change("columns.cuh", "left < slice_rows ? left : slice_rows", "slice_rows", "normalization.cu"),
    Change("commit_statistics.cu", "apply[0] ? pending : statistics", "apply[0] ? statistics : pending"),
    Change(DATA, "j < depth_left", "j <= depth_left"),
    Change(DATA, "place.column < g.group_channels", "place.column <= g.group_channels"),
    Change(DATA_TENSOR, "column >= group_channels", "column > group_channels"),
    Change(FILTER, "exists ? filters_left : 0", "filters_left"),
    Change(FILTER, "threadIdx.x) < g.group_filters", "threadIdx.x) <= g.group_filters"),
    Change(FILTER_TENSOR, "local_column >= group_filters", "local_column > group_filters"),
    Change(FILTER_TENSOR, "channel >= group_channels", "channel > group_channels"),
    Change("convolution2d_combine.cu", "split < splits", "split <= splits"),
    Change(FORWARD, "square.row(i) >= pixels_left", "square.row(i) > pixels_left"),
    Change(FORWARD, "taps_left > 0 ? filters_left : 0", "filters_left"),
    Change(FORWARD_TENSOR, "row >= rows", "row > rows"),
    Change("copy.cu", "sum[i] += added[i]", "sum[i] = added[i]"),
    Change("counter.cuh", "place.low >= low_size", "place.low > low_size", FORWARD),
    Change("dropout.cu", "place % 2 ? 32 : 0", "place % 2 ? 0 : 32"),
    Change("elementwise.cuh", "i < elements", "i <= elements", "fill.cu"),
    Change("fill.cu", "from_float<STORED>(value)", "from_float<STORED>(-value)"),
    Change("finite_check.cu", "__syncthreads_or(!finite)", "(!finite)"),
    Change("fold_batch_norm.cu", "tap == 0", "tap > 0"),
    Change("fold_batch_norm.cu", "(bias ? bias[k] : 0.0f) - running_mean[k]", "-running_mean[k]"),
    Change("global_mean_pool2d.cu", "pixel < pixels", "pixel <= pixels"),
    Change("global_mean_pool2d.cu", "warp < WARPS", "warp < WARPS - 1"),
    Change("group_norm.cu", "item < slices * group.group_channels", "item <= slices * group.group_channels"),
    Change("group_norm.cu", "slice < images * slices", "slice < slices"),
    Change("image_loss.cuh", "i < shape.pixels", "i <= shape.pixels", "squared_error.cu"),
    Change("hold.cu", "now - begun < cycles", "now - begun <= cycles"),
    Change("local_response_norm.cu", "channel < channels_", "channel <= channels_"),
    Change("local_response_norm.cu", "if (row < rows)", "if (row <= rows)"),
    Change("locally_connected2d.cu", "start / stride < outputs", "start / stride <= outputs"),
    Change("locally_connected2d.cu", "place < size ?", "place <= size ?"),
    Change("loss_scale.cu", "all_finite = __syncthreads_and(finite)", "all_finite = finite"),
    Change("loss_scale.cu", " finite = __syncthreads_and(finite);", ";"),
    Change("maximum_pool2d.cu", "value[i] > largest[i]", "value[i] >= largest[i]"),
    Change("maximum_pool2d_stride2.cu", "row >= g.H", "row > g.H"),
    Change("mean_pool2d.cu", "sum[i] /= pixels", "sum[i] /= g.R * g.S"),
    Change("median_pool2d.cu", "own.equal_before == 0", "true"),
    Change("normalization.cu", "row < slice.end", "row <= slice.end"),
    Change("normalization.cuh", "count += other.count", "count = other.count", "batch_norm.cu"),
    Change("normalize_images.cu", "top + h < picture_rows", "top + h <= picture_rows"),
    Change("normalize_images.cu", "W - 1 - first_w", "W - first_w"),
    Change("parametric_relu.cu", "value[i] > 0.0f ? 0.0f", "value[i] < 0.0f ? 0.0f"),
    Change("partials.cuh", "i < count", "i <= count", "clip_global_norm.cu"),
    Change("penalty.cu", "|| size == 0.0f", ""),
    Change("penalty.cu", "!belongs(first + i, chunk_length[row])", "false"),
    Change("philox.cuh", "^ b ^", "^", "dropout.cu"),
    Change("pooling.cuh", "min(start + window, size)", "start + window", "mean_pool2d.cu"),
    Change("pooling.cuh", "max(start, 0)", "start", "mean_pool2d.cu"),
    Change("pooling.cuh", "q.place < g.S", "q.place <= g.S", "maximum_pool2d.cu"),
    Change("pooling.cuh", "&& at.channel < channels", "", "maximum_pool2d.cu"),
    Change("primitives.cuh", " + (bits >> 16 & 1)", "", "copy.cu"),
    Change("quads.cuh", "if (j < count)", "if (j <= count)", FORWARD),
    Change("record_losses.cu", "ranks[n] < 1", "ranks[n] < 2"),
    Change("reduction.cuh", "distance > 0", "distance > 1", "clip_global_norm.cu"),
    Change("relu.cu", "accumulate != 0", "accumulate == 0"),
    Change("rmsprop.cu", "1.0 - rho", "rho"),
    Change("row_reduction.cuh", "i < count", "i <= count", "softmax.cu"),
    Change("row_reduction.cuh", "warp = 1;", "warp = 2;", "softmax.cu"),
    Change("scale.cu", "if (accumulate)", "if (!accumulate)"),
    Change("sgd.cu", "style == EMA", "style != EMA"),
    Change("softmax.cu", "- mean", "+ mean"),
    Change("softmax_cross_entropy.cu", "k < label", "k <= label"),
    Change("softmax_row.cuh", "x[k]) - largest", "x[k])", "softmax.cu"),
    Change("squared_error.cu", "2.0 * factor", "factor"),
    Change("store_gradients.cuh", "+= before[i]", "= before[i]", "relu.cu"),
    Change("stride_phases.cuh", "+ stride - 1) / stride", "+ stride) / stride", DATA_TENSOR),
    Change("tensor_core_loads.cuh", "piece.from, piece.left > 0)", "piece.from, true)", FORWARD_TENSOR),
    Change("tensor_core_loads.cuh", "j < piece.left ?", "j <= piece.left ?", FORWARD_TENSOR),
    Change("tensor_core_results.cuh", "column + i < rows.count", "column + i <= rows.count", FORWARD_TENSOR),
    Change("tensor_core_tile.cuh", "reading + 1 == Shape::STAGES", "reading + 2 == Shape::STAGES", FORWARD_TENSOR),
    Change("tile_product.cuh", "t < SLICE;", "t < SLICE - 1;", FORWARD),
    Change("vectors.cuh", "channels / COUNT,", "channels / COUNT + 1,", "fill.cu"),
)
