"""Trainer, checkpoints, history: how a network is trained, and what is left when it has been."""

from __future__ import annotations

from gpunn.training.configuration import Configuration
from gpunn.training.devices import open_device
from gpunn.training.experiment import new_run, resume_run, with_recipe
from gpunn.training.fitting import Fitting, fit_network
from gpunn.training.history import EpochRecord
from gpunn.training.learner import Learner
from gpunn.training.loader_settings import LoaderSettings
from gpunn.training.objectives import soft_label_objectives
from gpunn.training.plan import Plan
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder
from gpunn.training.totals import Totals
from gpunn.training.trained_run import load_run
from gpunn.training.trainer import Trainer, TrainingInterrupted

__all__ = [
    "Configuration",
    "EpochRecord",
    "Fitting",
    "Learner",
    "LoaderSettings",
    "Plan",
    "Rule",
    "RunFolder",
    "Totals",
    "Trainer",
    "TrainingInterrupted",
    "fit_network",
    "load_run",
    "new_run",
    "open_device",
    "resume_run",
    "soft_label_objectives",
    "with_recipe",
]
