"""A second look at doubtful pictures: mirrored and moved a little, the answers averaged.

A picture that the network is sure of is looked at once; only one whose answers lie close together is looked at from
all sides. Whether that pays, and how close is close, is found out on the validation pictures.

Source: the test-time augmentation of the CIFAR-10 speed records (Jordan 2024, arXiv:2404.00498, section 3.5), here
for doubtful pictures alone.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.data.transforms import Augment
from diptych.recognition import datasets
from diptych.recognition.confidence.temperature import misfits, temperature
from diptych.recognition.inference import batched
from diptych.recognition.inference.batched import Both
from diptych.recognition.inference.outputs import Observed
from diptych.recognition.networks import Network

log = logging.getLogger("diptych")
MOST_DOUBTFUL = 0.4  # of the pictures are looked at again, at most
MOST_LOOKS = 6 * MOST_DOUBTFUL  # at a picture, on average
STEPS_ACROSS = 32  # a picture is moved by this part of its side
NEARLY_ALL = 0.95  # of the answers that looking again changes is enough
SURE = 2.0  # standard errors that the gain must lie over none


@dataclass(frozen=True)
class Views:
    """From which sides doubtful pictures are seen.

    Attributes
    ----------
    mirror
        Mirrored left to right, too.
    shift
        Moved by so many pixels up and left, and down and right, the border filled by reflection; 0: not moved.
    several
        Whether a picture may have several labels.
    threshold
        A picture with a margin under this is doubtful; see :func:`margins`.
    """

    mirror: bool
    shift: int
    several: bool = False
    threshold: float = math.inf

    @classmethod
    def like(cls, augment: Augment, size: int, *, several: bool) -> Self:
        """Such as the network has seen in training."""
        moved = augment.shift > 0 or augment.crop < 1
        return cls(augment.flip != "none", max(1, round(size / STEPS_ACROSS)) if moved else 0, several)

    @classmethod
    def of(cls, told: Mapping[str, Any] | None) -> Self | None:
        """What :meth:`json` gave."""
        return None if told is None else cls(**told)

    def json(self) -> dict[str, Any]:
        """As an artefact holds it."""
        return asdict(self)

    @property
    def count(self) -> int:
        """Looks at a doubtful picture, the first one included."""
        return (1 + self.mirror) * (3 if self.shift else 1)

    def looks(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) -> (count · B, 3, S, S), the pictures as they are first."""
        moved = [pictures]
        if self.shift:
            side, padded = pictures.shape[-1], F.pad(pictures, [self.shift] * 4, mode="reflect")
            moved += [padded[..., start : start + side, start : start + side] for start in (0, 2 * self.shift)]
        return torch.cat(moved + [look.flip(3) for look in moved] if self.mirror else moved)

    def over(self, both: Both) -> Both:
        """The same answers, but for doubtful pictures, whose logits are the mean over all looks."""

        def ask(pictures: Tensor) -> tuple[Tensor, Tensor]:
            logits, features = both(pictures)
            rows = (margins(logits, several=self.several) < self.threshold).nonzero().flatten()
            if len(rows):
                logits = logits.index_copy(0, rows, self.from_all_sides(both, pictures[rows], len(pictures)))
            return logits, features

        return ask

    def from_all_sides(self, both: Both, pictures: Tensor, batch: int) -> Tensor:
        """(B, K) the mean logits over all looks, of which ``batch`` at a time are asked for."""
        told = torch.cat([both(some)[0] for some in torch.split(self.looks(pictures), batch)])
        return torch.unflatten(told, 0, (self.count, -1)).mean(0)

    def over_all(self, both: Both) -> Both:
        """The same as :meth:`over` without a branch, as a graph needs it: every picture is looked at from all sides."""

        def ask(pictures: Tensor) -> tuple[Tensor, Tensor]:
            told, seen = both(self.looks(pictures))
            told, seen = (torch.unflatten(some, 0, (self.count, -1)) for some in (told, seen))
            doubtful = margins(told[0], several=self.several) < self.threshold
            return torch.where(doubtful[:, None], told.mean(0), told[0]), seen[0]

        return ask


def settle(network: Network, images: Images, seen: Observed, size: int, augment: Augment, most: int) -> Observed:
    """Give the network the views that pay, if any do, and tell what it now sees.

    Parameters
    ----------
    images, seen
        Labelled pictures that were not trained on, and what the network sees of them at one look.
    augment
        What it was trained with.
    most
        Looks that this may take.
    """
    several, truth = images.multi_label, datasets.truth(images)
    views = Views.like(augment, size, several=several)
    rows = doubtful(seen.logits, several=several, most=most // views.count)
    if views.count == 1 or len(rows) == 0:
        return seen

    def look(pictures: Tensor) -> Tensor:
        return views.from_all_sides(network.both, pictures, len(pictures))

    again = batched.gathered(network, look, images[rows.numpy()], size, "Looking again")
    network.views = fixed(views, seen.logits[rows], again, truth[rows])
    if network.views is None:
        return seen
    kept = margins(seen.logits[rows], several=several) < network.views.threshold
    log.info("Doubtful pictures (%.0f %%) are looked at %d times.", 100 * int(kept.sum()) / len(images), views.count)
    return replace(seen, logits=seen.logits.index_copy(0, rows[kept], again[kept]))


def margins(logits: Tensor, *, several: bool) -> Tensor:
    """How clear answers are, (N,): the gap between the two largest logits; of several labels, the one nearest to 0."""
    if several:
        return logits.abs().amin(1)
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return first - second


def doubtful(logits: Tensor, *, several: bool, most: int) -> Tensor:
    """The rows to try views on, the least clear one first: at most so many, and at most 40 %."""
    order = margins(logits, several=several).argsort(stable=True)
    return order[: min(most, int(MOST_DOUBTFUL * len(logits)))]


def fixed(views: Views, before: Tensor, after: Tensor, truth: Tensor) -> Views | None:
    """The views with their threshold, or ``None`` if they do not pay.

    Parameters
    ----------
    before, after
        (n, K) logits of the rows of :func:`doubtful`: seen once, and from all sides.
    truth
        (n,) int64, or (n, K) bool.

    They pay if the truth becomes likelier by more than two standard errors; the threshold is the margin under which
    95 % of the changed answers lie. Answers that turn right or wrong are too few to choose by: on 2,500 pictures of
    CIFAR-10 some ninety change and a net of fifteen turn right, and a threshold fitted to those kept half of the gain.
    """
    changed = _answers(before, truth) != _answers(after, truth)
    changed = changed.any(1) if truth.ndim == 2 else changed
    if not changed.any():
        return None
    heat = temperature(before, truth)
    gains = misfits(before / heat, truth) - misfits(after / heat, truth)
    if not float(gains.mean()) > SURE * float(gains.std()) / len(gains) ** 0.5:
        return None
    covered = changed.cumsum(0)
    enough = int((covered >= NEARLY_ALL * covered[-1]).nonzero()[0])
    margin = margins(before, several=views.several)
    last = margin[enough : enough + 2].mean()  # between the last one looked at and the next
    return Views(views.mirror, views.shift, views.several, float(last))


def _answers(logits: Tensor, truth: Tensor) -> Tensor:
    """(n,) the class told, or (n, K) which labels."""
    return logits > 0 if truth.ndim == 2 else logits.argmax(1)
