"""The generator against the algorithm of its paper, written out in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.random import Positions, Stream, generator

WORD = 2**64


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Philox4x64-10 (Salmon, Moraes, Dror and Shaw, 2011, section 4.3)."""
    k0, k1 = key
    x0, x1, x2, x3 = counter
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * x0, WORD)
        high1, low1 = divmod(0xCA5A826395121157 * x2, WORD)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % WORD, (k1 + 0xBB67AE8584CAA73B) % WORD
    return x0, x1, x2, x3


def test_the_algorithm_gives_the_authors_known_answer() -> None:
    assert philox((0, 0), (0, 0, 0, 0)) == (
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    )


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("stream", list(Stream))
def test_block_b_is_computed_from_the_counter_b_plus_1(seed: int, stream: Stream) -> None:
    numbers = generator(seed, stream, 7, 2**40).bit_generator.random_raw(12)
    expected = [word for block in (1, 2, 3) for word in philox((seed, stream), (block, 7, 2**40, 0))]
    assert numbers.tolist() == expected


def test_purposes_places_and_seeds_do_not_share_numbers() -> None:
    generators = [generator(seed, stream, a, b) for seed in (0, 1) for stream in Stream for a in (0, 1) for b in (0, 1)]
    drawn = np.concatenate([one.bit_generator.random_raw(4) for one in generators])
    assert len(set(drawn.tolist())) == len(drawn)


def test_a_generator_does_not_depend_on_what_was_drawn_before() -> None:
    first = generator(3, Stream.SHUFFLE, 5).permutation(100)
    generator(3, Stream.SHUFFLE, 4).permutation(100)
    assert np.array_equal(generator(3, Stream.SHUFFLE, 5).permutation(100), first)


def test_streams_keep_their_numbers() -> None:
    """Checkpoints resume with these numbers: a new stream is added at the end."""
    assert [stream.value for stream in Stream][:5] == [1, 2, 3, 4, 5]
    assert Stream.DROPOUT.value == 4


@pytest.mark.parametrize("second", [0, 3, 2**40])
def test_a_position_is_the_generator_of_that_place(second: int) -> None:
    positions = Positions(11, Stream.NOISE, second)
    for first in (5, 0, 2**40, 5):
        fresh = generator(11, Stream.NOISE, first, second)
        place = positions.at(first)
        assert place.integers(0, 100, 3, np.uint32).tolist() == fresh.integers(0, 100, 3, np.uint32).tolist()
        assert place.random(5).tolist() == fresh.random(5).tolist()
