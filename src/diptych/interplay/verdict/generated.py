"""The generated pictures of a verdict: how many of each class, drawn once, and what the filter keeps of them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.interplay.sample_filter import SampleFilter
from diptych.interplay.verdict.arms import SYNTHETIC, Arm
from diptych.interplay.verdict.parts import Parts
from diptych.interplay.verdict.source import PictureSource
from diptych.interplay.verdict.state import State
from diptych.progress import Bar

MAX_DOSE = max(arm.dose for arm in SYNTHETIC)
MAX_SIDE = 256  # px that generated pictures are kept at
GENERATED = "synthetic"  # their origin

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Generated:
    """Generated pictures of the largest dose, class after class.

    Attributes
    ----------
    images
        Labels numbered as the real pictures'.
    reason
        (N,) why the filter drops a picture, "" for those that it keeps; ``None``: there is no filter.
    notes
        What a person should know of them.
    """

    images: Images
    reason: NDArray[np.str_] | None
    notes: list[str]

    def of_dose(self, arm: Arm, real: Counts) -> Images:
        """The pictures of an arm: the first of each class; of a filtered arm as many as are left, if too few are."""
        wanted = allocation(real, round(arm.dose * int(real.sum())), self.available)
        kept = np.ones(len(self.images), bool) if not arm.filtered or self.reason is None else self.reason == ""
        rows = [np.flatnonzero(kept & (self.images.labels == label))[:n] for label, n in enumerate(wanted)]
        return self.images[np.concatenate(rows)]

    @property
    def available(self) -> NDArray[np.bool_]:
        """(K,) which classes there are generated pictures of."""
        return np.bincount(self.images.labels, minlength=len(self.images.classes)) > 0


def allocation(real: Counts, total: int, available: NDArray[np.bool_]) -> Counts:
    """(K,) how many of ``total`` generated pictures each class gets: the scarcest are filled up first.

    All available classes are raised to one level, those above it get none; a larger total includes a smaller one.
    """
    classes = np.flatnonzero(available)
    order = classes[np.argsort(real[classes], kind="stable")]
    counts = np.zeros(len(real), np.int64)
    for filled in range(len(order), 0, -1):  # as many of the scarcest as can reach one level
        members = order[:filled]
        level, rest = divmod(total + int(real[members].sum()), filled)
        if level >= real[members[-1]]:
            counts[members] = level - real[members]
            counts[members[:rest]] += 1
            break
    return counts


def draw(source: PictureSource, parts: Parts, state: State, seed: int) -> Images:
    """Sample the pictures of the largest dose, class by class; those of a class are kept once they are drawn.

    Raises
    ------
    UsageError
        The synthesizer knows none of the classes.
    """
    available = np.array([name in source.classes_ for name in parts.classes])
    if not available.any():
        classes = ", ".join(source.classes_) or "none"
        raise UsageError(
            f"The synthesizer cannot be asked for any of these classes (it has {classes}). Fit it on pictures with "
            "the same labels."
        )
    real = np.bincount(parts.training.labels, minlength=len(parts.classes))
    wanted = allocation(real, round(MAX_DOSE * len(parts.training)), available)
    firsts = seed + np.concatenate([[0], np.cumsum(wanted)[:-1]])
    side, drawn = 0, []
    with Bar("Generating", int(wanted.sum())) as bar:
        for label in np.flatnonzero(wanted):
            name = parts.classes[label]
            pixels = state.tensors(f"generated-{label}")
            if pixels is None:
                sample = source.sample(int(wanted[label]), label=name, seed=int(firsts[label]))
                pixels = {"pixels": _squares(sample, int(wanted[label]), name, side)}
                state.save(f"generated-{label}", pixels)
            side = pixels["pixels"].shape[-1]
            drawn.append(_labelled(pixels["pixels"], int(label), parts.classes))
            bar.advance(int(wanted[label]))
    return Images.of(drawn)


def judge_generated(images: Images, parts: Parts, state: State, seed: int) -> Generated:
    """Let the filter look at the pictures; where it cannot be fitted, a note says why."""
    notes = []
    missing = [name for name, count in images.counts().items() if not count]
    if missing:
        notes.append(f"No pictures were generated of {', '.join(missing)}.")
    known = state.record("filter")
    if known is None:
        known = {"reason": None, "note": ""}
        try:
            size = int(images.dimensions()[0, 0])
            fitted = SampleFilter.fit(parts.training, parts.filtering, size, seed=seed)
            known["reason"] = fitted.apply(images).reason.tolist()
        except DataError as error:
            known["note"] = f"The arms with a filter were left out. {error}"
        state.save_record("filter", known)
    if known["note"]:
        notes.append(known["note"])
    reason = None if known["reason"] is None else np.array(known["reason"], np.str_)
    if reason is not None and not (reason == "").any():
        notes.append("The filter dropped every generated picture, so the arms with a filter were left out.")
        return Generated(images, None, notes)
    if reason is not None:
        notes.append(f"The filter kept {(reason == '').mean():.0%} of the generated pictures.")
    return Generated(images, reason, notes)


def _squares(sample: Images, count: int, name: str, side: int) -> torch.Tensor:
    """(N, 3, S, S) uint8 of the size that the first class has."""
    if len(sample) != count:
        raise UsageError(f"The synthesizer was asked for {count} pictures of {name} and gave {len(sample)}.")
    side = side or min(MAX_SIDE, int(np.median(sample.dimensions().min(1))))
    return sample.pixels(side, "crop").contiguous()


def _labelled(pixels: torch.Tensor, label: int, classes: tuple[str, ...]) -> Images:
    names = [f"generated {classes[label]} #{i}" for i in range(len(pixels))]
    arrays = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    labels = np.full(len(pixels), label)
    return Images.from_arrays(arrays, labels, classes=classes, origins=GENERATED, paths=names)
