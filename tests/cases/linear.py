"""Fully connected layers that every backend must get right."""

from __future__ import annotations

#: (images, inputs, outputs); the last ones are large enough to be cut over the threads, along either side.
LINEARS: list[tuple[int, int, int]] = [
    (1, 1, 1),
    (1, 7, 5),
    (5, 1, 3),
    (3, 4, 1),
    (7, 33, 10),
    (64, 17, 129),
    (1, 1500, 1501),
    (63, 301, 220),
    (333, 130, 65),
]
