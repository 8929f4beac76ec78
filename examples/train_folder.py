"""Train on your own pictures: a folder with one folder per class.

Run it with `python examples/train_folder.py FOLDER [MODEL] [EPOCHS]`; FOLDER is laid out as CLASS/IMAGE, or as
train/CLASS/IMAGE and val/CLASS/IMAGE. The run it writes works with `gpunn evaluate`, `gpunn predict` and
`gpunn train --resume`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gpunn.cli.progress_bar import ProgressBar
from gpunn.training import new_run, with_recipe


def main(folder: str, name: str, epochs: int) -> None:
    """Train with the model's recipe, some of its settings changed."""
    configuration = with_recipe(
        {"data": folder, "model": name, "epochs": epochs, "batch_size": 16, "learning_rate": 0.01, "patience": 10}
    )
    with ProgressBar() as bar:
        trainer = new_run(configuration, out=None, observer=bar)
        for record in trainer.fit():
            if record.validation_top1 == 1.0:
                break
    print(f"written to {trainer.run.path if trainer.run else Path()}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "lenet", int(sys.argv[3]) if len(sys.argv) > 3 else 20)
