"""PyTorch's settings for the whole process, changed for a comparison and given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """What a comparison changes.

    Attributes:
        threads: of a loop on the CPU; None leaves their number.
        products_in_tf32: whether float32 products may be rounded to tf32 on tensor cores.
        convolutions_in_tf32: the same of convolutions, for which PyTorch has a setting of its own.
        tunes: whether cuDNN chooses its algorithms by measurement, as gpunn does.
    """

    threads: int | None
    products_in_tf32: bool
    convolutions_in_tf32: bool
    tunes: bool

    @classmethod
    def wanted(cls, precision: str, threads: int | None) -> Settings:
        """For a task in that precision."""
        tf32 = precision == "tf32"
        return cls(threads, products_in_tf32=tf32, convolutions_in_tf32=tf32, tunes=True)


def apply_settings(torch: Any, settings: Settings) -> Settings:
    """Set them, and return those from before."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = Settings(torch.get_num_threads(), products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    products.allow_tf32 = settings.products_in_tf32
    cudnn.allow_tf32 = settings.convolutions_in_tf32
    cudnn.benchmark = settings.tunes
    return before
