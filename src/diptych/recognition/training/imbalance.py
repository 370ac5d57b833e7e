"""Imbalance methods: rare classes recognised as readily as frequent ones, by what does best on the validation pictures.

A network trained on uneven classes learns how frequent each is, too, and predicts a rare one too seldom. Two methods
cost no training: subtracting τ·log(share of the class) from the logits (Menon et al. 2021, "Long-tail learning via
logit adjustment", equation 9), and a last layer fitted to pictures drawn evenly over the classes (Kang et al. 2020,
"Decoupling representation and classifier for long-tailed recognition", section 4.2). They are compared by balanced
accuracy, in which every class counts the same.

The layers before the last see all pictures as they come: trained on evenly drawn ones, they separated a rare class
less well in trials, as Kang et al. found as well.
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
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LogisticRegression
from diptych.report import Table

UNEVEN_RATIO = 3.0  # of the largest class to the smallest, from which on classes count as uneven
STRENGTHS = torch.arange(0, 2.01, 0.05, dtype=torch.float64)  # τ: 1 undoes the shares if the network learned them fully
FITTING_SECONDS = 3.0  # at most, of a time budget, for the last layer
AS_TRAINED, ADJUSTED, REFITTED = "as trained", "logit adjustment", "last layer on evenly drawn pictures"


@dataclass(frozen=True)
class ImbalanceMethod:
    """The method chosen, and the (balanced accuracy, accuracy) of each that was compared."""

    name: str
    compared: Mapping[str, tuple[float, float]]

    def note(self, shares: Tensor) -> str:
        """A sentence on it for the report."""
        scores = "; ".join(f"{name} {balanced:.1%}" for name, (balanced, _) in self.compared.items())
        ratio = float(shares.max() / shares.min())
        comparison = f"The classes are uneven (1 to {ratio:.0f}). Balanced accuracy on validation: {scores}."
        if self.name == AS_TRAINED:
            return f"{comparison} No imbalance method did better than the network as trained."
        return (
            f"{comparison} Predictions use {self.name}: they, and their confidence, assume classes that are "
            "equally frequent; imbalance='none' leaves them as trained."
        )

    def table(self) -> Table:
        """The methods that were compared."""
        rows = [[name, *scores, "chosen" if name == self.name else ""] for name, scores in self.compared.items()]
        return Table(["", "balanced accuracy", "accuracy", ""], rows)


def class_shares(images: Images) -> Tensor:
    """(K,) the share of the pictures that each class has; every class has some."""
    counts = torch.tensor(list(images.counts().values()), dtype=torch.float32)
    return counts / counts.sum()


def is_imbalanced(images: Images) -> bool:
    """Whether a class has three times as many pictures as another; never where a picture may have several labels."""
    counts = images.counts().values()
    return not images.multi_label and max(counts) >= UNEVEN_RATIO * min(counts)


def rebalance(
    network: Network,
    *,
    validation: Images,
    validation_outputs: Outputs,
    training: Images,
    training_outputs: Outputs,
    shares: Tensor,
    hurry: bool,
) -> tuple[Outputs, ImbalanceMethod]:
    """Compare the methods on the validation pictures and build the best into the network.

    Parameters
    ----------
    validation_outputs, training_outputs
        The network's outputs for ``validation`` and for ``training``: training pictures, evenly over the classes.
    shares
        (K,) of the classes in training.
    hurry
        Whether there is a time budget.

    Returns
    -------
    The validation outputs as they now are, and the method chosen.
    """
    targets, logits = datasets.targets(validation), validation_outputs.logits
    offset = -logit_adjustment_strength(logits, targets, shares) * shares.log()
    candidates = {ADJUSTED: logits + offset, AS_TRAINED: logits}
    head = None
    if isinstance(getattr(network, "head", None), nn.Linear):
        features = LabelledFeatures(network.head_input(training_outputs.features), datasets.targets(training))
        _, head = LogisticRegression(features, len(shares), balanced=True).search(
            LabelledFeatures(network.head_input(validation_outputs.features), targets),
            until=time.monotonic() + FITTING_SECONDS if hurry else math.inf,
        )
        candidates[REFITTED] = head.logits(network.head_input(validation_outputs.features))
    compared = {
        name: (balanced_accuracy(targets, c.argmax(1), len(shares)), accuracy(targets, c.argmax(1)))
        for name, c in candidates.items()
    }
    best = max(compared, key=lambda name: compared[name][0])
    if best == REFITTED:
        gain = compared[REFITTED][0] - compared[ADJUSTED][0]
        if gain <= _standard_error(candidates[REFITTED], targets, len(shares)):
            best = ADJUSTED  # one number instead of a layer: with few pictures of a rare class, chance favours it less
    if best == ADJUSTED:
        network.offset = offset.to(next(network.parameters()).device)
    elif best == REFITTED and head is not None:
        network.set_head(head.weight, head.bias)
    return replace(validation_outputs, logits=candidates[best]), ImbalanceMethod(best, compared)


def logit_adjustment_strength(logits: Tensor, targets: Tensor, shares: Tensor) -> float:
    """The strength τ of the logit adjustment with the best balanced accuracy.

    With few pictures of a rare class the best τ is a matter of chance, and many do about as well; so it is the middle
    of those around the best that come within one standard error of it.
    """
    scores = torch.tensor([_adjusted_score(logits, targets, shares, float(strength)) for strength in STRENGTHS])
    best = int(scores.argmax())
    error = _standard_error(logits - float(STRENGTHS[best]) * shares.log(), targets, len(shares))
    enough = scores >= scores[best] - error
    low = high = best
    while low > 0 and enough[low - 1]:
        low -= 1
    while high < len(scores) - 1 and enough[high + 1]:
        high += 1
    return float(STRENGTHS[(low + high) // 2])


def adjusted_balanced_accuracy(logits: Tensor, targets: Tensor, shares: Tensor) -> float:
    """The balanced accuracy of (N, K) logits after logit adjustment."""
    return _adjusted_score(logits, targets, shares, logit_adjustment_strength(logits, targets, shares))


def _adjusted_score(logits: Tensor, targets: Tensor, shares: Tensor, strength: float) -> float:
    return balanced_accuracy(targets, (logits - strength * shares.log()).argmax(1), len(shares))


def _standard_error(logits: Tensor, targets: Tensor, classes: int) -> float:
    """The standard error of the balanced accuracy; a class without a wrong prediction is not without error."""
    correct = (logits.argmax(1) == targets).double()
    counts = torch.bincount(targets, minlength=classes)
    hits = torch.zeros(classes, dtype=torch.float64).index_add_(0, targets, correct)[counts > 0]
    counts = counts[counts > 0]
    recall = (hits + 1) / (counts + 2)
    return float((recall * (1 - recall) / counts).sum().sqrt() / len(counts))
