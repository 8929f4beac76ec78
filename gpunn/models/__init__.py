"""Well-known networks, each with the recipe that trains it."""

from __future__ import annotations

from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.models.registry import MODELS, model

__all__ = ["MODELS", "Model", "Recipe", "model"]
