"""What the page on convolution says of the compiled kernel."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERNEL = "convolution2d_forward_tensor.cu convolution2d_forward_tensor<bfloat16, aligned_128x128>"


def test_a_step_of_a_warp_is_as_many_products_as_the_page_counts() -> None:
    """The budget holds registers, shared memory, products and wide loads for each architecture."""
    budget = json.loads((ROOT / "tests/kernels/budget.json").read_text())[KERNEL]
    assert {products for _, _, products, _ in budget.values()} == {64}
    page = " ".join((ROOT / "docs/convolution.md").read_text().split())
    assert "counts 64 tensor-core instructions for `<bfloat16, aligned_128x128>`" in page
