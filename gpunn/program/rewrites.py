"""Rules that make a list of calls shorter or its buffers fewer: one small function each.

A rule takes the calls and returns them changed, or None when it finds nothing more to do. That a buffer may be
dropped or overwritten is read from the list itself: no call after this one mentions it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gpunn.backend.attributes import LINEAR, RELU
from gpunn.program.call import Buffer, Call, buffers_of

Rule = Callable[[Sequence[Call]], list[Call] | None]

#: Primitives whose epilogue can apply an activation to what they write.
FUSES_ACTIVATION = ("convolution2d_forward", "linear_forward", "batch_norm_forward", "batch_norm_inference")

#: Primitives that can multiply the gradient they write by the derivative of the activation before them.
FUSES_DERIVATIVE = ("convolution2d_backward_data", "linear_backward_data")

#: Primitives that may write over an input: (output, input) by argument name.
IN_PLACE = {
    "activation_forward": ("y", "x"),
    "activation_backward": ("gx", "gy"),
    "dropout_forward": ("y", "x"),
    "dropout_backward": ("gx", "gy"),
}


def optimise(calls: Sequence[Call]) -> list[Call]:
    """Apply every rule until none finds anything."""
    current = list(calls)
    for rule in (fuse_activation, differentiate_before_pooling, fuse_derivative, share_copy, work_in_place):
        while (changed := rule(current)) is not None:
            current = changed
    return current


def mentions_of(calls: Sequence[Call]) -> dict[Buffer, list[int]]:
    """The calls that touch each buffer, by their indices, a call once for each argument that is the buffer."""
    found: dict[Buffer, list[int]] = {}
    for index, call in enumerate(calls):
        for buffer in call.buffers:
            found.setdefault(buffer, []).append(index)
    return found


def fuse_activation(calls: Sequence[Call]) -> list[Call] | None:
    """A producer followed by an activation that alone reads its output becomes one call."""
    mentions = mentions_of(calls)
    for index, call in enumerate(calls):
        if call.primitive != "activation_forward":
            continue
        between, result = call.reads["x"], call.writes["y"]
        if not (isinstance(between, Buffer) and isinstance(result, Buffer) and between.kind == "planned"):
            continue
        first, *others = mentions[between]
        producer = calls[first]
        if others != [index] or producer.primitive not in FUSES_ACTIVATION or producer.settings["activation"] != LINEAR:
            continue
        settings = {**producer.settings, "activation": call.settings["function"]}
        fused = replace(producer.replaced(between, result), settings=settings)
        return [*calls[:first], fused, *calls[first + 1 : index], *calls[index + 1 :]]
    return None


def differentiate_before_pooling(calls: Sequence[Call]) -> list[Call] | None:
    """ReLU's derivative behind a maximum pooling's backward moves in front of it.

    The pixel that won has the pooled value, so the derivative is the same there, on a smaller array; and nothing needs
    the pooling's input any more. With another function, sums of overlapping windows would be rounded differently.
    """
    mentions = mentions_of(calls)
    poolings = {call.writes["argmax"]: call for call in calls if call.primitive == "maximum_pool2d_forward"}
    for index, call in enumerate(calls):
        if call.primitive != "activation_backward" or call.settings["accumulate"] or call.settings["function"] != RELU:
            continue
        between, result = call.reads["gy"], call.writes["gx"]
        if not (isinstance(between, Buffer) and isinstance(result, Buffer) and between.kind == "planned"):
            continue
        first, *others = mentions[between]
        producer = calls[first]
        if others != [index] or producer.primitive != "maximum_pool2d_backward" or producer.settings["accumulate"]:
            continue
        gradient, pooling = producer.reads["gy"], poolings[producer.reads["argmax"]]
        if not isinstance(gradient, Buffer) or gradient.kind != "planned" or mentions[gradient][-1] != first:
            continue
        if pooling.reads["x"] != call.reads["saved"]:
            continue
        masked = replace(gradient, name=f"{gradient.name} before {call.node}")
        derivative = replace(call, writes={"gx": masked}, reads={"gy": gradient, "saved": pooling.writes["y"]})
        scattered = producer.replaced(gradient, masked).replaced(between, result)
        return [*calls[:first], derivative, scattered, *calls[first + 1 : index], *calls[index + 1 :]]
    return None


def fuse_derivative(calls: Sequence[Call]) -> list[Call] | None:
    """An activation's backward whose gradient comes from one call, and goes nowhere else, becomes part of that call."""
    mentions = mentions_of(calls)
    for index, call in enumerate(calls):
        if call.primitive != "activation_backward" or call.settings["accumulate"]:
            continue
        between, result, saved = call.reads["gy"], call.writes["gx"], call.reads["saved"]
        if not (isinstance(between, Buffer) and isinstance(result, Buffer) and between.kind == "planned"):
            continue
        first, *others = mentions[between]
        producer = calls[first]
        fuses = producer.primitive in FUSES_DERIVATIVE and not producer.settings["accumulate"]
        if others != [index] or not fuses or producer.reads["saved"] is not None:
            continue
        settings = {**producer.settings, "activation": call.settings["function"]}
        reads = {**producer.reads, "saved": saved}
        fused = replace(replace(producer, reads=reads).replaced(between, result), settings=settings)
        return [*calls[:first], fused, *calls[first + 1 : index], *calls[index + 1 :]]
    return None


def share_copy(calls: Sequence[Call]) -> list[Call] | None:
    """A copy vanishes, and both are one buffer, where neither is written while the other is still needed.

    So the gradient of a sum is the gradient of each of its inputs, until another one is added to it.
    """
    mentions = mentions_of(calls)
    for index, call in enumerate(calls):
        if call.primitive != "copy" or call.settings["accumulate"]:
            continue
        source, result = call.reads["x"], call.writes["y"]
        if not (isinstance(source, Buffer) and isinstance(result, Buffer)) or source == result:
            continue
        alike = source.kind == "planned" and source == replace(result, name=source.name)
        if not alike or mentions[result][0] != index:
            continue
        needed = ((source, mentions[result][-1]), (result, mentions[source][-1]))
        if any(_is_written(calls[index + 1 : last + 1], buffer) for buffer, last in needed):
            continue
        return [other.replaced(result, source) for other in (*calls[:index], *calls[index + 1 :])]
    return None


def _is_written(calls: Sequence[Call], buffer: Buffer) -> bool:
    return any(buffer in buffers_of(call.writes) for call in calls)


def work_in_place(calls: Sequence[Call]) -> list[Call] | None:
    """A call that may write over its input does so when nothing later needs the input."""
    mentions = mentions_of(calls)
    for index, call in enumerate(calls):
        if call.primitive not in IN_PLACE or call.settings.get("accumulate"):
            continue
        output_name, input_name = IN_PLACE[call.primitive]
        source, result = call.reads[input_name], call.writes[output_name]
        if not (isinstance(source, Buffer) and isinstance(result, Buffer)) or source == result:
            continue
        if source.dtype != result.dtype:
            continue
        overwritable = source.kind == "planned" and result.kind == "planned" and mentions[source][-1] == index
        if not overwritable or mentions[result][0] != index:
            continue
        return [other.replaced(result, source) for other in calls]
    return None
