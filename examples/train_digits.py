"""Train LeNet on 4,000 handwritten digits from Python: every part by hand, nothing from the command line.

Run it with `python examples/train_digits.py [EPOCHS]`.
"""

from __future__ import annotations

import sys

from gpunn import backend
from gpunn.data import Augmentation, open_data
from gpunn.models import model
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import parse_schedule
from gpunn.training import Learner, Plan, Rule, Trainer, fit_network


def main(epochs: int) -> None:
    """Train, and print a line an epoch."""
    split = open_data("digits", seed=0)
    fitting = fit_network(model("lenet"), split.train)
    learner = Learner(
        fitting.network,
        backend.open("cpu"),
        precision("float32"),
        fitting.preprocessing,
        Rule(Sgd(weight_decay=5e-4, momentum=0.9)),
    )
    plan = Plan(epochs, batch_size=32, schedule=parse_schedule("cosine", 0.02, epochs))
    trainer = Trainer(learner, plan, split, fitting.preprocessing, Augmentation.for_digits())
    for record in trainer.fit():
        print(f"epoch {record.epoch}: loss {record.train_loss:.4f}, validation top-1 {record.validation_top1:.2%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
