"""One line for an epoch that waited for its data: worked examples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpunn.training.advice import Reading, advise
from gpunn.training.time_spent import TimeSpent

#: 6,000 photographs in 10 seconds; the device computed for 3.8 of them, so it could take 1,579 a second. Two workers
#: were busy for 18.75 seconds: 2 x 6,000 / 18.75 = 640 a second, 320 each.
SPENT = TimeSpent(seconds=10.0, waited=6.2, copied=0.5, decoding=(9.5, 9.25), images_read=6000)
IMAGES = 6000
READING = Reading(
    2, 16, encoded=True, decoder="pillow", fast_is_installed=False, image_bytes=224 * 224 * 3, scales=False
)
WAITED = "the device waited 62% of the time: decoding 640 images/s on 2 workers; the step could take 1,579; "
PACK = "pack the data (gpunn data pack SRC DST, about 25,000 images/s)"


def said(spent: TimeSpent, reading: Reading) -> str:
    advice = advise(spent, IMAGES, reading)
    assert advice is not None
    assert "\n" not in advice.text
    return advice.text


def test_enough_cores_need_no_more_than_workers() -> None:
    """Five workers at 320 reach 1,600."""
    assert said(SPENT, READING) == WAITED + "use 5 workers (--workers 5, about 1,600 images/s)"


def test_where_workers_do_not_reach_it_the_data_are_packed() -> None:
    """Three workers at 320, while a packed picture of 150,528 bytes takes 30 + 51.2 microseconds."""
    told = said(SPENT, replace(READING, cores=3))
    assert told == f"{WAITED}{PACK} or use 3 workers (--workers 3, about 960 images/s)"


def test_packed_pictures_that_are_still_scaled_take_longer() -> None:
    """30 + 602 microseconds by Pillow, 30 + 196 by the fast decoder."""
    scaled = replace(READING, cores=2, scales=True)
    assert "pack the data (gpunn data pack SRC DST, about 3,200 images/s)" in said(SPENT, scaled)
    fast = said(SPENT, replace(scaled, decoder="fast"))
    assert fast == WAITED + "pack the data (gpunn data pack SRC DST, about 8,900 images/s)"


def test_without_a_free_core_the_alternative_is_another_decoder() -> None:
    busy = replace(READING, cores=2)
    decode = f"{WAITED}{PACK} or decode with libjpeg-turbo ("
    fast = "--set decoder=fast in a new run, about 1,000 images/s)"
    assert said(SPENT, busy) == f"{decode}pip install 'gpunn[fast]', then {fast}"
    assert said(SPENT, replace(busy, fast_is_installed=True)) == decode + fast
    assert said(SPENT, replace(busy, decoder="fast")) == WAITED + PACK


def test_a_decoder_that_is_fast_enough_is_named_alone() -> None:
    """The step takes 6,000 in 8 seconds: 750 a second, less than 1.6 x 640."""
    told = said(replace(SPENT, waited=2.0), replace(READING, cores=2, fast_is_installed=True))
    assert told.startswith("the device waited 20% of the time: decoding 640 images/s on 2 workers; ")
    assert told.endswith(
        "; the step could take 750; decode with libjpeg-turbo (--set decoder=fast in a new run, about 1,000 images/s)"
    )


def test_pictures_in_memory_are_not_decoded() -> None:
    in_memory = replace(READING, encoded=False, cores=3, workers=1)
    spent = replace(SPENT, decoding=(9.375,))
    assert said(spent, in_memory).endswith(
        "preparing 640 images/s on 1 worker; the step could take 1,579; "
        "use 3 workers (--workers 3, about 1,900 images/s)"
    )
    assert said(spent, replace(in_memory, cores=1)).endswith(
        "; all cores are in use: choose a lighter augmentation, or use more cores"
    )


def test_pictures_too_large_to_be_packed_with_profit() -> None:
    """At 20 million bytes a picture, two workers copy 150 a second."""
    assert "pack" not in said(SPENT, replace(READING, cores=2, image_bytes=20_000_000, decoder="fast"))


def test_the_same_remedy_is_known_again_by_other_numbers() -> None:
    again = advise(replace(SPENT, waited=6.1), IMAGES, replace(READING, cores=3))
    before = advise(SPENT, IMAGES, replace(READING, cores=3))
    assert again is not None
    assert before is not None
    assert again.text != before.text
    assert again.remedies == before.remedies == ("gpunn data pack SRC DST", "--workers 3")


@pytest.mark.parametrize(
    "spent",
    [
        replace(SPENT, waited=1.0),
        TimeSpent(seconds=0.5, waited=0.4, decoding=(0.5, 0.5), images_read=100),
        TimeSpent(seconds=10.0, waited=6.2),
        # The workers were idle for most of the time: 12,000 / 6 = 2,000 a second are more than the step takes.
        replace(SPENT, decoding=(3.0, 3.0)),
        TimeSpent(),
    ],
    ids=["10%", "half a second", "nothing measured", "only the start", "nothing"],
)
def test_when_nothing_is_said(spent: TimeSpent) -> None:
    assert advise(spent, IMAGES, READING) is None
