"""The least that loading can cost: processes that decode, crop and resize JPEG files, and do nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpunn.data.decoding.picture import Box
from gpunn.data.decoding.process import prepare_process


class BareProcesses:
    """Processes that have read their list of files and wait for the word.

    Args:
        decoder: "pillow" or "fast", as gpunn's decoders are called.
        paths: the files, divided evenly.
        boxes: what to show of each.
        size: rows and columns of the result.
        count: how many processes.
    """

    def __init__(self, decoder: str, paths: Sequence[Path], boxes: Sequence[Box], size: int, count: int) -> None:
        self._processes = []
        for number in range(count):
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.bare_decoding", decoder, str(size)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._processes.append(process)
            for path, box in zip(paths[number::count], boxes[number::count], strict=True):
                self._tell(process, f"{' '.join(map(repr, box))} {path}")
            self._tell(process, "")

    def run(self) -> None:
        """Let all of them go through their files once."""
        for process in self._processes:
            self._tell(process, "go")
        for process in self._processes:
            assert process.stdout is not None
            process.stdout.readline()

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            # Processes that PyTorch has forked meanwhile hold the other end of its input open.
            process.kill()
            process.communicate()

    @staticmethod
    def _tell(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def show_pillow(path: str, box: Box, out: np.ndarray) -> None:
    """Decode, crop and scale by Pillow."""
    from PIL import Image

    with Image.open(path) as image:
        out[...] = image.convert("RGB").resize(out.shape[1::-1], Image.Resampling.BILINEAR, box)


def show_fast(path: str, box: Box, out: np.ndarray) -> None:
    """Decode by simplejpeg, crop and scale by cykooz_resizer."""
    import simplejpeg
    from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

    with open(path, "rb") as file:
        pixels = simplejpeg.decode_jpeg(file.read())
    left, top, right, bottom = box
    height, width, _ = pixels.shape
    target = ImageData(out.shape[1], out.shape[0], PixelType.U8x3)
    options = ResizeOptions(
        ResizeAlg.convolution(FilterType.bilinear), False, CropBox(left, top, right - left, bottom - top)
    )
    Resizer().resize(ImageData(width, height, PixelType.U8x3, pixels.tobytes()), target, options)
    out[...] = np.frombuffer(target.get_buffer(), np.uint8).reshape(out.shape)


def main(decoder: str, size: int) -> None:
    """What each process does: read boxes and paths up to an empty line, then go through them for every line."""
    show = show_pillow if decoder == "pillow" else show_fast
    work: list[tuple[str, Box]] = []
    while line := sys.stdin.readline().rstrip("\n"):
        left, top, right, bottom, path = line.split(" ", 4)
        work.append((path, (float(left), float(top), float(right), float(bottom))))
    out = np.empty((size, size, 3), np.uint8)
    prepare_process()
    for _ in sys.stdin:
        for path, box in work:
            show(path, box, out)
        print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
