"""From pictures of bytes to the numbers a network reads, on CUDA."""

from __future__ import annotations

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.shared.vectors import vector_length, wide_choice
from gpunn.errors import UsageError

#: What a block may use of shared memory on every GPU without asking: 48 KiB, of which a channel takes two floats.
_LARGEST_CHANNELS = 48 * 1024 // 8
_BLOCK_THREADS = 256
#: Fewer than rows would fill: a block's factors take as long as several of its rows.
_MOST_BLOCKS = 2048


def normalize_images(
    device: CudaDevice, y: Array, images: Array, placement: Array, mean: Array, deviation: Array
) -> None:
    """y[n, h, w, c] = (pixel / 255 - mean[c]) / deviation[c], the pixel cropped and mirrored.

    Args:
        device: the GPU, or the emulator.
        y: (N, H, W, C) of the network's type.
        images: uint8 (N, H0, W0, C).
        placement: int32 (N, 3): the top and left corner of the crop in the picture, and 1 to mirror the crop left
            to right. Pixels outside the picture count as 0.
        mean: (C,) float64, on the scale 0 to 1.
        deviation: (C,) float64, on the scale 0 to 1.

    Raises:
        UsageError: for arrays that do not fit together, or more than 6144 channels.
    """
    N, H, W, C = y.shape
    _, picture_rows, picture_columns, _ = images.shape
    wanted = {
        "images": (images, (N, picture_rows, picture_columns, C)),
        "placement": (placement, (N, 3)),
        "mean": (mean, (C,)),
        "deviation": (deviation, (C,)),
    }
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise UsageError(f"normalize_images: {name} has shape {array.shape}; y of {y.shape} wants {shape}")
    if C > _LARGEST_CHANNELS:
        raise UsageError(f"normalize_images: pictures of {C} channels; CUDA takes at most {_LARGEST_CHANNELS}")
    vector = vector_length(device, W * C, (y, W * C)) if channel_pitch(y) == C else 1
    lanes = min(_BLOCK_THREADS, -(-W * C // vector))
    rows = _BLOCK_THREADS // lanes
    device.launcher.launch(
        "normalize_images.cu",
        "normalize_images",
        Grid((min(-(-N * H // rows), _MOST_BLOCKS), 1, 1), (lanes, rows, 1), 2 * 4 * C),
        {
            "y": y,
            "y_pitch": channel_pitch(y),
            "images": images,
            "placement": placement,
            "mean": mean,
            "deviation": deviation,
            "N": N,
            "H": H,
            "W": W,
            "C": C,
            "picture_rows": picture_rows,
            "picture_columns": picture_columns,
        },
        wide_choice(vector > 1),
    )
