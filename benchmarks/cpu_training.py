"""A training step and inference on the CPU beside PyTorch's, interleaved in one process.

    python benchmarks/cpu_training.py --network vgg16 --batch 16 --threads 2 --json

Both sides get the same network, weights, pictures, optimiser (SGD with momentum) and threads, fp32, kept on as many
cores; PyTorch runs in channels_last, its faster order, with its fused optimiser. A step begins with uint8 pictures. A
ratio is gpunn's time over PyTorch's: medians of samples that are taken in turn, who is first changing from round to
round, with the lowest and the highest pair. Samples of short steps hold several steps. Peak memory is measured in two
processes more. Needs PyTorch, which gpunn itself never does.

PyTorch's threads run in circles for some milliseconds after its work, which slows down whoever comes next; they are
ended before each sample, and run again before PyTorch's begins. --idle-threads left leaves them.

--all compares every case that has a goal (benchmarks/cpu/goals.py), each in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Compare, and print lines for people or an object."""
    # Imported here, since a script's own folder comes first among those that modules are looked for in.
    from benchmarks.cpu.arguments import positive
    from benchmarks.cpu.networks import NETWORKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    named = f"one of {', '.join(sorted(NETWORKS))}; lenet by default"
    parser.add_argument("--network", choices=sorted(NETWORKS), default="lenet", metavar="NAME", help=named)
    parser.add_argument("--batch", type=positive, default=32, help="images of a step; 32 by default")
    parser.add_argument("--threads", type=positive, default=2, help="of each side; 2 by default")
    parser.add_argument(
        "--algorithm",
        choices=("auto", "direct", "winograd"),
        default="auto",
        help="of gpunn's convolutions; auto by default",
    )
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of training, and half of it of inference, at most; 30 by default"
    )
    parser.add_argument("--layers", action="store_true", help="time each layer, too")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory")
    parser.add_argument("--idle-threads", choices=("ended", "left"), default="ended", help="of PyTorch; see above")
    parser.add_argument("--json", action="store_true", help="print an object instead of lines for people")
    parser.add_argument("--keep", action="store_true", help="add a line to benchmarks/results/cpu-training-DATE.jsonl")
    parser.add_argument("--all", action="store_true", help="every case that has a goal, in place of the one named")
    given = parser.parse_args()
    if given.all:
        _compare_all(given)
    else:
        _compare(given)


def _compare(given: argparse.Namespace) -> None:
    from benchmarks.cpu.comparison import Extent, compare, in_words
    from benchmarks.cpu.layers import table
    from benchmarks.cpu.results import append, todays_file
    from benchmarks.cpu.task import Case
    from gpunn.errors import GpunnError

    case = Case(given.network, given.batch, given.threads, given.algorithm)
    try:
        found = compare(case, Extent(given.seconds, given.layers, not given.no_memory, given.idle_threads))
    except GpunnError as error:
        sys.exit(f"error: {error}")
    document = found.as_json()
    if given.keep:
        append(document, todays_file(document))
    if given.json:
        print(json.dumps(document))
        return
    print(in_words(found))
    if found.layers:
        print(table(found.layers))


def _compare_all(given: argparse.Namespace) -> None:
    from benchmarks.cpu.goals import GOALS, run, verdict

    options = ["--seconds", str(given.seconds), "--idle-threads", given.idle_threads]
    options += [f"--{name}" for name in ("layers", "no-memory", "keep") if getattr(given, name.replace("-", "_"))]
    for goal in GOALS:
        try:
            found = run(goal.case, options)
        except subprocess.CalledProcessError as error:
            # The process has said why.
            sys.exit(error.returncode)
        print(json.dumps(found) if given.json else verdict(goal, found), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
