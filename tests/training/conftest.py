"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def no_curves() -> Iterator[None]:
    """Drawing takes far longer than the small runs of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpunn.training.curve_picture.draw_curves", lambda *_: None)
        yield
