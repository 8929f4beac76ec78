"""Batches of scores."""

from __future__ import annotations

#: Images and classes: one image, one class, odd numbers, and enough of both to be cut into pieces.
SHAPES = ((1, 1), (1, 10), (7, 4), (33, 12), (300, 1000))
