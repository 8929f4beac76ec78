"""Every command and every program on the pages of the site runs, each page in a folder of its own."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.commands import MARKS, ROOT, Block, blocks_of, commands_to_run, program_of, run, shortened
from tests.data.pictures import random_picture
from tests.data.sources.idx_files import write_half

DOCS = ROOT / "docs"
PAGES = {path.stem: path for path in sorted(DOCS.glob("*.md"))}
#: What the examples in the reference of commands take for granted.
TAKEN_FOR_GRANTED = (
    "gpunn data synthesize flowers --classes 3 --images 48 --size 48x36",
    "gpunn train --data flowers --model lecture-cnn --epochs 1 --out runs/lenet-digits-20261121-101500",
    "cp docs/pictures/seven.png .",
)


def text_of(page: str) -> str:
    text = PAGES[page].read_text()
    if page == "commands":
        command = "from command_reference import command_reference; print(command_reference())"
        done = subprocess.run([sys.executable, "-c", command], cwd=DOCS, capture_output=True, text=True, check=True)
        text += done.stdout
    return text


@pytest.fixture(scope="session")
def fashion_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pictures in files of Fashion-MNIST's names."""
    folder = tmp_path_factory.mktemp("fashion-mnist")
    for half, count in (("train", 256), ("t10k", 64)):
        pictures = random_picture(count, count * 28, 28, 1).reshape(count, 28, 28)
        write_half(folder, half, pictures, list(np.arange(count) % 10), packed=True)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs(page: str, tmp_path: Path, fashion_mnist: Path) -> None:
    blocks = blocks_of(text_of(page))
    commands = [command for block in blocks for command in commands_to_run(block)]
    if page == "commands":
        commands = [*TAKEN_FOR_GRANTED, *map(shortened, commands)]
    if any("fashion-mnist" in command for command in commands):
        stand_in = shlex.join([sys.executable, str(ROOT / "tests/fashion_mnist_stand_in.py"), str(fashion_mnist)])
        commands.insert(0, f'gpunn() {{ {stand_in} "$@"; }}')
    if program := program_of(blocks):
        (tmp_path / "page.py").write_text(program)
        commands.append("python page.py")
    if commands:
        run(commands, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_is_of_a_kind_that_is_known(page: str) -> None:
    for block in blocks_of(text_of(page)):
        assert block.language in {"console", "python", "text", "toml", "cuda", "cpp", "json", "dockerfile"}, block
        assert block.marks <= MARKS, block
        assert block.language != "console" or block.commands, block
        # A command in a block of another kind would not be run.
        assert block.language == "console" or not block.commands, block


def test_pages_followed_in_one_folder_do_not_get_in_each_others_way() -> None:
    """A folder of pictures is made once, or on every page by the same command."""
    made: dict[str, str] = {}
    for page in PAGES.keys() - {"commands"}:
        for command in (command for block in blocks_of(text_of(page)) for command in block.commands):
            if command.startswith("gpunn data synthesize"):
                folder = command.split()[3]
                assert made.setdefault(folder, command) == command, page
    assert len(made) > 1


PAGE = """
```console
$ pip install "." && gpunn models   # installs, then lists
gpunn lists lenet
$ gpunn summary lenet \\
> --plan
```

:::{note}
```{code-block} console
:class: needs-gpu

$ gpunn time alexnet
```
:::

<!-- needs-docker -->
```console
$ docker run gpunn
```

```python
a = 1
```

  ```{code-block} console
  :class: takes-minutes
  $ gpunn train --data fashion-mnist  # 60,000 pictures
  $ gpunn train
  $ gpunn data synthesize trial --images 4000 --classes 3
  ```

```python
assert a == 1
```
"""


def test_the_commands_of_a_page_are_found() -> None:
    blocks = blocks_of(PAGE)
    assert [block.language for block in blocks] == ["console", "console", "console", "python", "console", "python"]
    assert [commands_to_run(block) for block in blocks] == [
        ["gpunn models   # installs, then lists", "gpunn summary lenet \\\n--plan"],
        [],
        [],
        [],
        [
            "gpunn train --data fashion-mnist --epochs 1  # 60,000 pictures",
            "gpunn train --epochs 1",
            "gpunn data synthesize trial --images 60 --classes 3",
        ],
        [],
    ]
    assert [PAGE.splitlines()[block.line - 1].strip() for block in blocks] == [
        '$ pip install "." && gpunn models   # installs, then lists',
        "$ gpunn time alexnet",
        "$ docker run gpunn",
        "a = 1",
        "$ gpunn train --data fashion-mnist  # 60,000 pictures",
        "assert a == 1",
    ]


def test_the_program_of_a_page_keeps_the_lines_of_the_page() -> None:
    program = program_of(blocks_of(PAGE))
    number = PAGE.splitlines().index("assert a == 1")
    assert program.splitlines()[number] == "assert a == 1"
    assert program_of([Block("python", "x = 1\n", 3, frozenset({"excerpt"}))]) == ""


def test_a_command_that_fails_fails_the_page(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no-such-model"):
        run(["gpunn models", "gpunn summary no-such-model", "gpunn models"], tmp_path)
