"""Mixtures of pictures, whose labels are the classes' shares: mixup and cutmix.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", 2018, section 2; Yun, Han, Oh, Chun,
Choe and Yoo, "CutMix", 2019, section 3.1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.beta import beta_quantiles
from gpunn.data.augmenting.blocks import blocks, store
from gpunn.data.augmenting.draws import Draw, Draws

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def mix(
    augmentation: Augmentation,
    images: npt.NDArray[np.uint8],
    soft_labels: npt.NDArray[np.float32],
    draws: Draws,
    sound: Places,
) -> None:
    """Mixes pictures with others of the same part, in place.

    Args:
        augmentation: which mixtures, and how often.
        images: (N, H, W, C).
        soft_labels: (N, classes), the share of each class, which are mixed likewise.
        draws: of the pictures.
        sound: positions of the pictures that may be taken.
    """
    if len(sound) < 2:
        return
    originals = images.copy()
    partners = _partners(sound, draws)
    shares = np.ones(len(images))
    chosen = sound[draws[sound, Draw.MIXED] < augmentation.mix_share]
    # With both kinds, one number decides between them.
    first_cut = 0.0 if augmentation.cutmix == 0.0 else 1.0 if augmentation.mixup == 0.0 else 0.5
    is_cut = draws[chosen, Draw.CUT] < first_cut
    blended, cut = chosen[~is_cut], chosen[is_cut]
    if len(blended):
        shares[blended] = beta_quantiles(augmentation.mixup, draws[blended, Draw.SHARE])
        _blend(images, originals, blended, partners, shares)
    if len(cut):
        shares[cut] = beta_quantiles(augmentation.cutmix, draws[cut, Draw.SHARE])
        shares[cut] = _cut(images, originals, cut, partners, shares, draws)
    own = shares[chosen, np.newaxis].astype(np.float32)
    soft_labels[chosen] = own * soft_labels[chosen] + (1 - own) * soft_labels[partners[chosen]]


def _partners(sound: Places, draws: Draws) -> Places:
    """For each sound picture one of the other sound ones; nothing sensible for the rest, (N,)."""
    partners = np.zeros(len(draws), np.int64)
    steps = 1 + (draws[sound, Draw.PARTNER] * (len(sound) - 1)).astype(np.int64)
    partners[sound] = sound[(np.arange(len(sound)) + steps) % len(sound)]
    return partners


def _blend(
    images: npt.NDArray[np.uint8], originals: npt.NDArray[np.uint8], which: Places, partners: Places, shares: Numbers
) -> None:
    """images = share * original + (1 - share) * the partner's."""
    for block in blocks(which, images[0].size):
        values = originals[block].astype(np.float32)
        others = originals[partners[block]]
        values -= others
        values *= shares[block].astype(np.float32).reshape(-1, 1, 1, 1)
        values += others
        store(images, block, values)


def _cut(
    images: npt.NDArray[np.uint8],
    originals: npt.NDArray[np.uint8],
    which: Places,
    partners: Places,
    shares: Numbers,
    draws: Draws,
) -> Numbers:
    """Lays a rectangle of the partner, at the same place, over each picture.

    Its sides are sqrt(1 - share) of the picture's, its centre is anywhere, and what leaves the picture is cut off.

    Returns:
        The parts of the pictures that are left, (len(which),).
    """
    _, height, width, _ = images.shape
    sides = np.sqrt(1 - shares[which])
    half_height, half_width = sides * height / 2, sides * width / 2
    row, column = draws[which, Draw.CUT_TOP] * height, draws[which, Draw.CUT_LEFT] * width
    edges = np.stack([row - half_height, row + half_height, column - half_width, column + half_width], axis=1)
    limits = np.array([height, height, width, width])
    edges = np.clip(np.rint(edges), 0, limits).astype(np.int64)
    for position, (top, bottom, left, right) in zip(which.tolist(), edges.tolist(), strict=True):
        images[position, top:bottom, left:right] = originals[partners[position], top:bottom, left:right]
    areas = (edges[:, 1] - edges[:, 0]) * (edges[:, 3] - edges[:, 2])
    return np.asarray(1 - areas / (height * width))
