"""Data sets, and how their pictures become batches."""

from __future__ import annotations

from gpunn.data.arrays import ArrayDataset
from gpunn.data.augmentation import Augmentation
from gpunn.data.dataset import Dataset, DataWarning, Split
from gpunn.data.loader import Batch, Loader
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources import open_data

__all__ = [
    "ArrayDataset",
    "Augmentation",
    "Batch",
    "DataWarning",
    "Dataset",
    "Loader",
    "Preprocessing",
    "Split",
    "open_data",
]
