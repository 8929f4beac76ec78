"""What the augmentation of a run asks of the rest of it: what is measured before, and what is minimised."""

from __future__ import annotations

from dataclasses import replace

from gpunn.data.adaptation import colour_axes
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Dataset, Split
from gpunn.network import Network
from gpunn.training.augmentation_setting import chosen_augmentation, with_colour_axes
from gpunn.training.configuration import Configuration
from gpunn.training.objectives import soft_label_objectives
from gpunn.training.rule import Rule


def augmentation_of(configuration: Configuration, split: Split) -> Augmentation | None:
    """What a run does to the training images of a split."""
    return chosen_augmentation(configuration.augmentation, split.augmentation)


def with_measured_light(configuration: Configuration, split: Split, measured: Dataset, channels: int) -> Configuration:
    """The same configuration, with the colour axes of the images `measured` if it changes light along them.

    They are kept in the settings, so that a resumed run need not measure them again.
    """
    augmentation = augmentation_of(configuration, split)
    if augmentation is None or not augmentation.lighting or augmentation.colour_axes is not None or channels != 3:
        return configuration
    setting = with_colour_axes(configuration.augmentation, colour_axes(measured))
    return configuration.model_copy(update={"augmentation": setting})


def with_soft_labels(rule: Rule, network: Network, augmentation: Augmentation | None) -> Rule:
    """The same rule; where images are mixed, outputs are compared with the shares of the classes."""
    if augmentation is None or not augmentation.mixes:
        return rule
    return replace(rule, smoothing=0.0, objectives=soft_label_objectives(network, rule.smoothing))
