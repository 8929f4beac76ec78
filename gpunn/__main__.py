"""`python -m gpunn`: the command line."""

from __future__ import annotations

from gpunn.cli import main

if __name__ == "__main__":
    main()
