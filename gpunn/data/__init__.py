"""Data sets, and how their pictures become batches."""

from __future__ import annotations

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Dataset, DataWarning, Split
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.loader import Loader
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.opening import open_data

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
