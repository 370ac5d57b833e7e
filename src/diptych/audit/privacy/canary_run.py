"""An audit in one training run: canaries are trained on or not by the toss of a coin, and the model is asked which.

Canaries are real pictures with a wrong label, which a recognizer can only learn by heart. How many of the guesses are
right bounds ε from below (Steinke, Nasr & Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from diptych.audit.privacy.candidates import Candidates
from diptych.audit.privacy.references import MAX_VALIDATION, recognizer_parameters
from diptych.audit.privacy.signals import log_probability
from diptych.data.combine import with_labels
from diptych.errors import UsageError
from diptych.metrics.canaries import epsilon_lower_bound
from diptych.progress import enclosing_bar
from diptych.recognition.recognizer import Recognizer
from diptych.synthesis.datasets import random_subset

MIN_CANARIES = 20
GUESSED = 0.5  # of the canaries: the surest quarter of either kind, fixed before the model is asked


@dataclass(frozen=True)
class CanaryRun:
    """What one run with canaries shows.

    Attributes
    ----------
    canaries, guesses, correct
        How many there were, of how many it was guessed whether they were trained on, and how many guesses were right.
    epsilon
        The largest ε that this refutes, with 95 % confidence.
    promised
        The ε that the run's accountant gives, with ``delta``; ``None``: the run was not private.
    """

    canaries: int
    guesses: int
    correct: int
    epsilon: float
    promised: float | None
    delta: float

    @property
    def broken(self) -> bool:
        """Whether the promise is refuted."""
        return self.promised is not None and self.epsilon > self.promised


def check_canaries(canaries: int, candidates: Candidates) -> None:
    """Refuse fewer canaries than say anything, or more than half of the unseen pictures, with a UsageError."""
    unseen = int((~candidates.members).sum())
    if not MIN_CANARIES <= canaries <= unseen // 2:
        raise UsageError(
            f"Canaries are taken from the {unseen:,} unseen pictures, {MIN_CANARIES} at least and at most half of "
            f"them ({unseen // 2:,}), not {canaries:,}. Name more unseen pictures, or fewer canaries."
        )


def canary_run(audited: Recognizer, candidates: Candidates, canaries: int, seed: int) -> CanaryRun:
    """Train a recognizer by the audited one's settings on its training pictures and canaries, and guess.

    The canaries are drawn from the pictures that the audited one was not trained on; the others of these choose the
    moment that the run is saved of.
    """
    unseen, draw = candidates.unseen, np.random.default_rng(seed)
    order = draw.permutation(len(unseen))
    planted = unseen[np.sort(order[:canaries])]
    classes = len(planted.classes)
    wrong = (planted.labels + draw.integers(1, classes, canaries)) % classes
    planted = with_labels(planted, wrong, planted.classes)
    included = draw.random(canaries) < 0.5
    validation = random_subset(unseen[np.sort(order[canaries:])], MAX_VALIDATION, seed)
    with enclosing_bar("Training with canaries", 1) as bar:
        parameters = {**recognizer_parameters(audited), "seed": seed}
        model = Recognizer(**parameters).fit(candidates.training + planted[included], validate=validation)
        bar.advance()
    scores = log_probability(model, planted)
    each = int(canaries * GUESSED / 2)
    surest = np.argsort(scores, kind="stable")
    correct = int(included[surest[-each:]].sum() + (~included[surest[:each]]).sum())
    promise: dict[str, Any] = model.facts_.get("privacy", {})
    delta = float(promise.get("delta", 0.0))
    bound = epsilon_lower_bound(correct, 2 * each, canaries, delta)
    return CanaryRun(canaries, 2 * each, correct, bound, promise.get("epsilon"), delta)
