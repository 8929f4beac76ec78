"""All models by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from gpunn.errors import UsageError
from gpunn.models.alexnet import ALEXNET, ALEXNET_2GROUP
from gpunn.models.definition import Model
from gpunn.models.lecture_cnn import LECTURE_CNN
from gpunn.models.lenet import LENET
from gpunn.models.mlp import MLP
from gpunn.models.vgg import VGG
from gpunn.models.zfnet import ZFNET

MODELS: Mapping[str, Model] = {
    model.name: model for model in (MLP, LENET, LECTURE_CNN, ALEXNET, ALEXNET_2GROUP, ZFNET, *VGG)
}


def model(name: str) -> Model:
    """The model of that name.

    Raises:
        UsageError: when there is none; the text suggests the nearest name and lists all.
    """
    if name in MODELS:
        return MODELS[name]
    nearest = get_close_matches(name.lower(), MODELS, n=1)
    suggestion = f"did you mean '{nearest[0]}'? " if nearest else ""
    raise UsageError(f"model '{name}' is not known; {suggestion}choose one of {', '.join(MODELS)}")
