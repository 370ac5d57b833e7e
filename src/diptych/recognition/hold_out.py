"""Which pictures are held out of training to check on: real ones, and nothing that was trained on in another shape."""

import numpy as np
from numpy.typing import NDArray

from diptych.data.duplicates import duplicate_clusters
from diptych.data.images import Images
from diptych.data.messages import counted, join_names
from diptych.data.provenance import generated_mask
from diptych.data.splits import split
from diptych.data.training_digests import Digests, trained_on
from diptych.errors import DataError

Series = NDArray[np.int64]  # (N,)
Mask = NDArray[np.bool_]
HELD_OUT_SHARE = 0.15
MAX_HELD_OUT = 2500
MIN_REAL_PER_CLASS = 2  # one to learn from and one to check on
# Held out of the pictures that the initial weights were not trained on: half of them at most, or, where it is about as
# many as are wanted (those that the other model held out of the same set), all.
MAX_SHARE_OF_OTHERS, NEARLY_ALL = 0.5, 0.9
MAX_NAMES = 8  # classes that a message lists


def hold_out(images: Images, seed: int, series: Series | None, trained: Digests) -> tuple[Series, Series]:
    """Rows for (training, validation), stratified; validation has real pictures alone.

    Near-duplicates, series, and whatever was trained on before are on one side, generated pictures and whatever looks
    like one on that of training.

    Raises
    ------
    DataError
        There are too few real pictures of a class, or all of them are near-duplicates.
    """
    known, real = trained_on(images, trained, copies=True), np.arange(len(images))
    generated = generated_mask(images)
    if generated.any():
        cluster = duplicate_clusters(images)
        known, real = known | np.isin(cluster, cluster[generated]), np.flatnonzero(~generated)
        _check_enough_real(images[real])
    held_out = real[_hold_out_real(images[real], known[real], seed, None if series is None else series[real])]
    training = np.setdiff1d(np.arange(len(images)), held_out)
    missing = [name for name, count in images[training].counts().items() if count == 0]
    if missing or len(held_out) == 0:
        raise DataError(
            f"The pictures of {join_names(missing, MAX_NAMES) or 'this set'} are all near-duplicates of each other, so "
            "that none can be held out to check on. Add different pictures, or name a validation set of your own."
        )
    return training, held_out


def describe(count: int, series: Series | None, *, searched: bool) -> str:
    """How pictures were held out, in a sentence."""
    sentence = f"{counted(count, 'picture was', 'pictures were')} held out for validation."
    if series is None and searched:
        return (
            f"{sentence} There are too many, or there is too little time, to compare them all: shots of the same thing "
            "may be on both sides, and the figures flatter then."
        )
    if series is None:
        return sentence
    sizes = np.bincount(series)
    several = sizes[sizes > 1]
    if not len(several):
        return f"{sentence} No two of them look like shots of the same thing."
    return (
        f"{sentence} {several.sum()} of all look like shots of the same things, in {len(several)} series; each series "
        "is held out as a whole or not at all, so that the figures are for things that were not trained on."
    )


def _check_enough_real(images: Images) -> None:
    rare = [name for name, count in images.counts().items() if count < MIN_REAL_PER_CLASS]
    if rare:
        raise DataError(
            f"There are fewer than {MIN_REAL_PER_CLASS} real pictures of {join_names(rare, MAX_NAMES)}; the others are "
            "generated, and a recognizer is checked on real pictures alone. Add real pictures, or name a set of real "
            "ones with --validate (in Python: validate=)."
        )


def _hold_out_real(images: Images, known: Mask, seed: int, series: Series | None) -> Series:
    """Rows to validate on; the ``known`` pictures are to be trained on."""
    share = min(HELD_OUT_SHARE, MAX_HELD_OUT / len(images))
    if known.any():
        return _hold_out_others(images, known, share, seed, series)
    return split(images, (1 - share, share), seed, series)[1]


def _hold_out_others(images: Images, known: Mask, share: float, seed: int, series: Series | None) -> Series:
    """The same where there are ``known`` pictures: ``share`` of all is held out of the others."""
    if series is not None:  # another shot of what was trained on is as good as known
        known = np.isin(series, series[known])
    rows = np.flatnonzero(~known)
    if not len(rows):
        raise DataError(
            "The model to start from was trained on all of these pictures, so that none is left to check on. Name "
            "pictures for validation, or train that model further with --more."
        )
    share_of_others = share * len(images) / len(rows)
    if share_of_others > NEARLY_ALL and all(images[known].counts().values()):
        return rows
    share = min(share_of_others, MAX_SHARE_OF_OTHERS)
    return rows[split(images[rows], (1 - share, share), seed, None if series is None else series[rows])[1]]
