"""PyTorch's training step and forward pass, from pictures in the host's memory, whole and part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpunn.errors import UsageError
from gpunn.network import Network
from gpunn.random import Stream, generator
from gpunn.timing.contestant import SEED, Task
from gpunn.timing.network_step import DEVIATION, INPUT, LEARNING_RATE, LOSS, MEAN, OPTIMIZER
from gpunn.timing.pytorch.marks import Passed
from gpunn.timing.pytorch.translation import Weights, assemble, pytorch_parts


class PytorchStep:
    """A task as people run it in PyTorch: channels_last, a fused optimiser, automatic mixed precision for bfloat16.

    Args:
        torch: the library.
        task: what is computed; precision float32, tf32 or bfloat16.
        device: such as "cpu" or "cuda:0".

    Attributes:
        modules: the layers, by their labels.

    Raises:
        UsageError: when PyTorch has no counterpart of the network or of its recipe's optimiser.
    """

    def __init__(self, torch: Any, task: Task, device: str) -> None:
        self._torch = torch
        self._device = torch.device(device)
        self._mixed = task.precision == "bfloat16"
        network = task.network()
        self._parts = pytorch_parts(network, first_weights(network))
        self.modules: dict[str, Any] = {part.label: part.module for part in self._parts}
        self._whole = assemble(self._parts).to(device=self._device, memory_format=torch.channels_last)
        self._optimizer = self._sgd(task, network)
        pictures, labels = torch.from_numpy(task.pictures()), torch.from_numpy(task.labels()).long()
        on_gpu = self._device.type == "cuda"
        # Copies from pinned memory go on while the host goes on, as gpunn's do.
        self._pictures, self._labels = (held.pin_memory() if on_gpu else held for held in (pictures, labels))

    def train(self) -> None:
        """One step."""
        self._require_mode(training=True)
        images, labels = self._images(), self._targets()
        self._optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            loss = self._loss(self._whole(images), labels)
        loss.backward()
        self._optimizer.step()

    def infer(self) -> Any:
        """One forward pass; the scores."""
        self._require_mode(training=False)
        with self._torch.inference_mode(), self._autocast():
            return self._whole(self._images())

    def train_in_parts(self, passed: Passed) -> None:
        """The same step, telling when each part has ended: a layer's backward pass ends where that of the next layer
        begins, which is where the gradient of what that one computed is known."""
        self._require_mode(training=True)
        images, labels = self._images(), self._targets()
        passed(INPUT, "forward")
        self._optimizer.zero_grad(set_to_none=True)
        passed(OPTIMIZER, "backward")
        running = LOSS

        def begin_backward(name: str) -> Callable[[Any], None]:
            def begin(_: Any) -> None:
                nonlocal running
                passed(running, "backward")
                running = name

            return begin

        values: dict[str, Any] = {}
        with self._autocast():
            for part in self._parts:
                computed = part.module(*(values.get(label, images) for label in part.inputs))
                passed(part.label, "forward")
                if computed.requires_grad:
                    computed.register_hook(begin_backward(part.label))
                values[part.label] = computed
            loss = self._loss(values[self._parts[-1].label], labels)
        passed(LOSS, "forward")
        loss.backward()
        passed(running, "backward")
        self._optimizer.step()
        passed(OPTIMIZER, "backward")

    def loss(self) -> float:
        """Mean loss of the pictures with the weights as they are, in evaluation mode."""
        scores = self.infer()
        return float(self._loss(scores, self._targets()))

    def _images(self) -> Any:
        """Normalised, (N, C, H, W) in channels_last order."""
        pictures = self._pictures.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        return pictures.to(self._torch.float32).mul_(1 / (255 * DEVIATION)).sub_(MEAN / DEVIATION)

    def _targets(self) -> Any:
        return self._labels.to(self._device, non_blocking=True)

    def _loss(self, scores: Any, labels: Any) -> Any:
        return self._torch.nn.functional.cross_entropy(scores, labels)

    def _autocast(self) -> Any:
        return self._torch.autocast(self._device.type, self._torch.bfloat16, enabled=self._mixed)

    def _require_mode(self, training: bool) -> None:
        # Only where it changes: it visits every module.
        if self._whole.training != training:
            self._whole.train(training)

    def _sgd(self, task: Task, network: Network) -> Any:
        recipe = task.model.recipe
        if recipe.optimizer != "sgd" or recipe.clip_norm is not None:
            raise UsageError(f"the recipe of {task.model.name} is not SGD without clipping, which PyTorch's side has")
        spared = {name for name, parameter, _ in network.parameters() if not parameter.decays}
        groups: dict[bool, list[Any]] = {False: [], True: []}
        labels: dict[Any, str] = {}
        for label, module in self.modules.items():
            labels.setdefault(module, label)
        for module, label in labels.items():
            for name, parameter in module.named_parameters():
                # A padded convolution is the second part of its module: "1.weight".
                groups[f"{label}.{name.rpartition('.')[2]}" in spared].append(parameter)
        return self._torch.optim.SGD(
            [
                {"params": groups[False], "weight_decay": recipe.weight_decay},
                {"params": groups[True], "weight_decay": 0.0},
            ],
            lr=LEARNING_RATE,
            momentum=recipe.momentum,
            fused=True,
        )


def first_weights(network: Network) -> Weights:
    """What gpunn's side begins with."""
    return {
        name: parameter.initializer.values(
            parameter.shape, parameter.fan_in, generator(SEED, Stream.INITIALIZATION, place)
        ).astype("float32")
        for place, (name, parameter, _) in enumerate(network.parameters())
    }
