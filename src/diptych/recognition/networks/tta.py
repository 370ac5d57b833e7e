"""Test-time augmentation: uncertain pictures are also seen mirrored and shifted, and the logits averaged.

Only a picture whose logits lie close together is seen in several views; a clear one is seen once. Whether that pays,
and how close is close, is chosen on the validation pictures (:mod:`diptych.recognition.training.tta_selection`).

Source: the test-time augmentation of the CIFAR-10 speed records (Jordan 2024, arXiv:2404.00498, section 3.5), here
for uncertain pictures alone.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.transforms import Augment

STEPS_ACROSS = 32  # a picture is shifted by this part of its side
LogitsAndFeatures = Callable[[Tensor], tuple[Tensor, Tensor]]  # (B, 3, S, S) in [-1, 1] -> (B, K), (B, D)


@dataclass(frozen=True)
class TTA:
    """The views in which uncertain pictures are seen.

    Attributes
    ----------
    mirror
        Mirrored left to right, too.
    shift
        Shifted by so many pixels up and left, and down and right, the border filled by reflection; 0: not shifted.
    multi_label
        Whether a picture may have several labels.
    threshold
        A picture with a margin under this is uncertain; see :func:`margins`.
    """

    mirror: bool
    shift: int
    multi_label: bool = False
    threshold: float = math.inf

    @classmethod
    def like(cls, augment: Augment, size: int, *, multi_label: bool) -> Self:
        """The views that the network has seen in training."""
        shifted = augment.shift > 0 or augment.crop < 1
        return cls(augment.flip != "none", max(1, round(size / STEPS_ACROSS)) if shifted else 0, multi_label)

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> Self | None:
        """The inverse of :meth:`to_json`; ``None`` for ``None``."""
        return None if values is None else cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The fields, as ``model.json`` stores them."""
        return asdict(self)

    @property
    def count(self) -> int:
        """Views of an uncertain picture, the unchanged one included."""
        return (1 + self.mirror) * (3 if self.shift else 1)

    def views(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) -> (count · B, 3, S, S), the unchanged pictures first."""
        views = [pictures]
        if self.shift:
            side, padded = pictures.shape[-1], F.pad(pictures, [self.shift] * 4, mode="reflect")
            views += [padded[..., start : start + side, start : start + side] for start in (0, 2 * self.shift)]
        return torch.cat(views + [view.flip(3) for view in views] if self.mirror else views)

    def wrap(self, forward: LogitsAndFeatures) -> LogitsAndFeatures:
        """The same outputs, except that an uncertain picture's logits are the mean over all views."""

        def augmented(pictures: Tensor) -> tuple[Tensor, Tensor]:
            logits, features = forward(pictures)
            rows = (margins(logits, multi_label=self.multi_label) < self.threshold).nonzero().flatten()
            if len(rows):
                logits = logits.index_copy(0, rows, self.averaged_logits(forward, pictures[rows], len(pictures)))
            return logits, features

        return augmented

    def averaged_logits(self, forward: LogitsAndFeatures, pictures: Tensor, batch: int) -> Tensor:
        """(B, K) the mean logits over all views, computed ``batch`` views at a time."""
        logits = torch.cat([forward(views)[0] for views in torch.split(self.views(pictures), batch)])
        return torch.unflatten(logits, 0, (self.count, -1)).mean(0)

    def wrap_without_branch(self, forward: LogitsAndFeatures) -> LogitsAndFeatures:
        """The same as :meth:`wrap` for graphs, which cannot branch: every picture is seen in all views."""

        def augmented(pictures: Tensor) -> tuple[Tensor, Tensor]:
            logits, features = (
                torch.unflatten(outputs, 0, (self.count, -1)) for outputs in forward(self.views(pictures))
            )
            uncertain = margins(logits[0], multi_label=self.multi_label) < self.threshold
            return torch.where(uncertain[:, None], logits.mean(0), logits[0]), features[0]

        return augmented


def margins(logits: Tensor, *, multi_label: bool) -> Tensor:
    """How clear (N, K) logits are, (N,): the gap between the two largest; of several labels, the one nearest to 0."""
    if multi_label:
        return logits.abs().amin(1)
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return first - second
