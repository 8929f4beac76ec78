from __future__ import annotations

import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.words import describe_augmentation


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        (None, "none"),
        (Augmentation(), "none"),
        (Augmentation.for_photographs(), "random crops of 8% to 100% of the area, 50% mirrored"),
        (
            Augmentation.for_digits(),
            "shifts up to 10%, rotations up to 15 degrees, slants up to 20 degrees, scalings from 0.8 to 1.2",
        ),
        (
            Augmentation.for_alexnet(),
            "random windows at the scale of evaluation, 50% mirrored, light of deviation 0.1 along the colour axes",
        ),
        (
            Augmentation(brightness=0.4, contrast=0.3, saturation=0.2, hue=10.0, noise=0.02, erase=0.25),
            "brightness changed by up to 40%, contrast changed by up to 30%, saturation changed by up to 20%, "
            "hues turned by up to 10 degrees, noise of deviation 0.02, 2% to 40% of the area erased in 25%",
        ),
        (Augmentation(mixup=0.2), "100% mixed with another picture by mixup of strength 0.2"),
        (
            Augmentation(mixup=0.2, cutmix=1.0, mix_share=0.5),
            "50% mixed with another picture by mixup of strength 0.2 or cutmix of strength 1",
        ),
        (Augmentation(mixup=0.2, mix_share=0.0), "none"),
    ],
)
def test_an_augmentation_is_told_in_words(augmentation: Augmentation | None, words: str) -> None:
    assert describe_augmentation(augmentation) == words
