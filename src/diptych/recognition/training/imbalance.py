"""Rare classes told as readily as frequent ones, by the cure that does best on the validation pictures.

A network that learns from uneven classes learns how frequent each is, too, and tells a rare one too seldom. Two cures
cost no training: taking τ·log(share of the class) from the logits (Menon et al. 2021, "Long-tail learning via logit
adjustment", equation 9), and a last layer fitted to pictures drawn evenly over the classes (Kang et al. 2020,
"Decoupling representation and classifier for long-tailed recognition", section 4.2). What is judged is balanced
accuracy, in which every class counts the same.

The layers before see all pictures as they come: shown evenly drawn ones, they learned to tell a rare class apart less
well in trials, as Kang et al. found as well.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from diptych.data.images import Images
from diptych.metrics.classification import accuracy, balanced_accuracy
from diptych.recognition import datasets
from diptych.recognition.inference.outputs import Outputs
from diptych.recognition.networks import Network
from diptych.recognition.training.logistic_regression import LabelledFeatures, fit_logistic_regression
from diptych.report import Table
from diptych.report.report import number

RATIO = 3.0  # of the largest class to the smallest, from which classes count as uneven
STRENGTHS = torch.arange(
    0, 2.01, 0.05, dtype=torch.float64
)  # τ: 1 undoes the shares, if the network learned them fully
FITTING_SECONDS = 3.0  # at most, of a time budget, for the last layer
AS_TRAINED, ADJUSTED, EVENLY = "as trained", "logit adjustment", "last layer on evenly drawn pictures"


@dataclass(frozen=True)
class ImbalanceMethod:
    """What was done: the cure's name, and the balanced accuracy and accuracy of each."""

    name: str
    tried: Mapping[str, tuple[float, float]]

    def note(self, shares: Tensor) -> str:
        """What the report tells of it."""
        scores = "; ".join(f"{name} {number(balanced)}" for name, (balanced, _) in self.tried.items())
        ratio = float(shares.max() / shares.min())
        found = f"The classes are uneven (1 to {ratio:.0f}). Balanced accuracy on validation: {scores}."
        if self.name == AS_TRAINED:
            return f"{found} No cure did better than to leave the answers as they are."
        return (
            f"{found} So the answers are those by {self.name}: they, and their confidence, are for classes that are "
            "equally frequent; imbalance='none' leaves them as trained."
        )

    def table(self) -> Table:
        """The cures that were compared."""
        rows = [[name, *found, "chosen" if name == self.name else ""] for name, found in self.tried.items()]
        return Table(["", "balanced accuracy", "accuracy", ""], rows)


def class_shares(images: Images) -> Tensor:
    """(K,) the part of the pictures that each class is; every class has some."""
    counts = torch.tensor(list(images.counts().values()), dtype=torch.float32)
    return counts / counts.sum()


def is_uneven(images: Images) -> bool:
    """Whether a class has three times as many pictures as another; never where a picture may have several labels."""
    counts = images.counts().values()
    return not images.multi_label and max(counts) >= RATIO * min(counts)


def rebalance(
    network: Network, seen: Outputs, validation: Images, learned: Outputs, kept: Images, of: Tensor, *, hurry: bool
) -> tuple[Outputs, ImbalanceMethod]:
    """Compare the cures on the validation pictures and build the best into the network.

    Parameters
    ----------
    seen, learned
        What the network sees of the validation pictures, and of ``kept``: training pictures evenly over the classes.
    of
        (K,) shares of the classes in training.
    hurry
        Whether there is a time budget.

    Returns
    -------
    What it now makes of the validation pictures, and what was done.
    """
    truth = datasets.targets(validation)
    strength = logit_adjustment_strength(seen.logits, truth, of)
    offset = -strength * of.log()
    answers = {ADJUSTED: seen.logits + offset, AS_TRAINED: seen.logits}
    head = None
    if isinstance(getattr(network, "head", None), nn.Linear):
        until = time.monotonic() + FITTING_SECONDS if hurry else math.inf
        lessons = (LabelledFeatures(learned.features, datasets.targets(kept)), LabelledFeatures(seen.features, truth))
        head = fit_logistic_regression(*lessons, len(of), balanced=True, until=until)
        answers[EVENLY] = head.logits(seen.features)
    tried = {
        k: (balanced_accuracy(truth, v.argmax(1), len(of)), accuracy(truth, v.argmax(1))) for k, v in answers.items()
    }
    best = max(tried, key=lambda name: tried[name][0])
    if best == EVENLY and tried[EVENLY][0] - tried[ADJUSTED][0] <= _error(answers[EVENLY], truth, len(of)):
        best = ADJUSTED  # one number instead of a layer: of few pictures of a rare class, chance flatters it less
    if best == ADJUSTED:
        network.offset = offset.to(next(network.parameters()).device)
    elif best == EVENLY and head is not None:
        network.set_head(head.weight, head.bias)
    return replace(seen, logits=answers[best]), ImbalanceMethod(best, tried)


def logit_adjustment_strength(logits: Tensor, truth: Tensor, of: Tensor) -> float:
    """The strength τ of the adjustment under which every class is told best.

    Of few pictures of a rare class the best τ is a matter of chance, and many do about as well; so it is the middle of
    those around the best that come within one standard error of it.
    """
    told = torch.tensor([_balanced(logits, truth, of, float(strength)) for strength in STRENGTHS])
    best = int(told.argmax())
    enough = told >= told[best] - _error(logits - float(STRENGTHS[best]) * of.log(), truth, len(of))
    low = high = best
    while low > 0 and enough[low - 1]:
        low -= 1
    while high < len(told) - 1 and enough[high + 1]:
        high += 1
    return float(STRENGTHS[(low + high) // 2])


def adjusted_balanced_accuracy(logits: Tensor, truth: Tensor, of: Tensor) -> float:
    """The balanced accuracy of (N, K) logits once they are adjusted."""
    return _balanced(logits, truth, of, logit_adjustment_strength(logits, truth, of))


def _balanced(logits: Tensor, truth: Tensor, of: Tensor, strength: float) -> float:
    return balanced_accuracy(truth, (logits - strength * of.log()).argmax(1), len(of))


def _error(logits: Tensor, truth: Tensor, classes: int) -> float:
    """The standard error of the balanced accuracy; a class whose pictures are all told right is not without error."""
    right = (logits.argmax(1) == truth).double()
    counts = torch.bincount(truth, minlength=classes)
    hits = torch.zeros(classes, dtype=torch.float64).index_add_(0, truth, right)[counts > 0]
    counts = counts[counts > 0]
    recall = (hits + 1) / (counts + 2)
    return float((recall * (1 - recall) / counts).sum().sqrt() / len(counts))
