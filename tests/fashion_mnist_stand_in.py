"""`gpunn` for a machine that may not have Fashion-MNIST: that name means the files in a folder of few pictures.

Usage: python fashion_mnist_stand_in.py FOLDER ARGUMENTS_OF_GPUNN
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

from gpunn.cli.application import run
from gpunn.data.sources.fashion_mnist import OFFICIAL, Origin, read_fashion_mnist


def main() -> int:
    """Run the command, and give its exit status."""
    folder = Path(sys.argv[1])
    digests = {
        name: hashlib.sha256(gzip.decompress((folder / name).read_bytes())).hexdigest() for name in OFFICIAL.digests
    }
    read_fashion_mnist.__defaults__ = (Origin(folder, "", digests),)
    return run(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
