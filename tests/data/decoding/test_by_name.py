from __future__ import annotations

import pytest

from gpunn.data.decoding import by_name
from gpunn.data.decoding.by_name import DECODERS, decoder
from gpunn.errors import UsageError


def test_every_decoder_bears_its_name() -> None:
    assert [decoder(name).name for name in DECODERS] == list(DECODERS)


def test_the_fast_one_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoder("auto").name == "fast"
    monkeypatch.setattr(by_name, "find_spec", lambda module: None if module == "simplejpeg" else object())
    assert decoder("auto").name == "pillow"
    assert decoder("pillow").name == "pillow"
    with pytest.raises(UsageError, match=r'needs simplejpeg: pip install "gpunn\[fast\]"'):
        decoder("fast")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no decoder 'nvjpeg'; known are auto, pillow, fast"):
        decoder("nvjpeg")
