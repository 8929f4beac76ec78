"""Flat arrays with parts that optimisers treat differently."""

from __future__ import annotations

from gpunn.arena import Part, SegmentTable, place

#: Weights with decay, biases without, a slower layer, a frozen one in the middle, and a part of one element.
MIXED: SegmentTable = place(
    [
        Part("first.weight", (5, 7), decay=0.1),
        Part("first.bias", (7,)),
        Part("frozen.weight", (9,), decay=0.1, trainable=False),
        Part("slow.weight", (70,), learning_rate_factor=0.5, decay=0.02),
        Part("slow.bias", (1,), learning_rate_factor=2.0),
    ]
)

#: Enough elements that the work is cut, at a place that is no multiple of anything.
LARGE: SegmentTable = place([Part("weight", (1000, 601), decay=0.01), Part("bias", (601,))])

#: Enough chunks for several blocks of a kernel, the last one not whole.
MEDIUM: SegmentTable = place([Part("weight", (50, 61), decay=0.01), Part("bias", (61,))])
