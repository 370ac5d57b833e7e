"""The trainings of a verdict: hyperparameters, then every arm with every seed, and the test at the very end."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.interplay.verdict.arms import (
    BASELINE,
    CURVE,
    FILTERED,
    OVERSAMPLED,
    PRETRAINED,
    REFIT_SHARE,
    STRONG,
    SYNTHETIC,
    Arm,
    training_set,
)
from diptych.interplay.verdict.generated import Generated
from diptych.interplay.verdict.learner import Hyperparameters, Learner, Length, Tensors, label_tensor
from diptych.interplay.verdict.parts import Parts
from diptych.interplay.verdict.state import RUNS, State
from diptych.progress import Bar
from diptych.recognition.confidence.temperature import fit_temperature, nll

TUNING_SEEDS = 2  # of each choice of hyperparameters; the chosen one's trainings are the baseline's first
OUTCOME, CHOSEN = "outcome", "chosen"
SELECTION, TEST, WEIGHTS = "selection.", "test.", "weights."


@dataclass(frozen=True)
class ArmResult:
    """What the models of one arm predict, a row for each seed.

    Attributes
    ----------
    selection
        (S,) :func:`selection_score`.
    correct
        (S, N) whether each test picture is recognized.
    """

    arm: Arm
    selection: NDArray[np.float64]
    correct: NDArray[np.bool_]


@dataclass
class Study:
    """All trainings.

    Attributes
    ----------
    learner
        Of all arms but the next.
    pretrained
        Of the arm "pretrained features"; ``None``: there is none, or all arms stand on them.
    length
        Of every training.
    """

    parts: Parts
    generated: Generated
    learner: Learner
    pretrained: Learner | None
    length: Length
    seeds: int
    seed: int
    state: State
    chosen: dict[str, Hyperparameters] = field(default_factory=dict)  # by the learner's key

    def arms(self) -> list[Arm]:
        """The arms that are compared, and the parts of the learning curve."""
        filtered = () if self.generated.reason is None else FILTERED
        pretrained = () if self.pretrained is None else (PRETRAINED,)
        return [BASELINE, OVERSAMPLED, STRONG, *pretrained, *SYNTHETIC, *filtered, *CURVE]

    def trainings(self) -> int:
        """How many there are."""
        learners = [learner for learner in (self.learner, self.pretrained) if learner is not None]
        tuning = sum(TUNING_SEEDS * len(learner.grid) for learner in learners)
        return tuning + self.seeds * len(self.arms())

    def run(self, bar: Bar) -> list[ArmResult]:
        """Train what is not trained yet; then predict the test pictures, once. ``bar`` counts trainings."""
        outcome = self.state.tensors(OUTCOME)
        if outcome is None:
            outcome = self._outcome(bar)
            self.state.save_record(CHOSEN, {key: asdict(how) for key, how in self.chosen.items()})
            self.state.save(OUTCOME, outcome)
        else:
            self.chosen = {key: Hyperparameters(**how) for key, how in (self.state.record(CHOSEN) or {}).items()}
            bar.skip(self.trainings())
        self.state.remove_runs()
        targets = self.parts.test.labels
        return [
            ArmResult(
                arm, outcome[SELECTION + arm.key].double().numpy(), outcome[TEST + arm.key].long().numpy() == targets
            )
            for arm in self.arms()
        ]

    def _outcome(self, bar: Bar) -> Tensors:
        self._tune(self.learner, BASELINE, bar)
        if self.pretrained is not None:
            self._tune(self.pretrained, PRETRAINED, bar)
        outcome: Tensors = {}
        for arm in self.arms():
            scores = [self._selection_score(arm, seed, bar) for seed in range(self.seeds)]
            outcome[SELECTION + arm.key] = torch.tensor(scores, dtype=torch.float64)
        for arm in self.arms():  # all choices have been made
            outcome[TEST + arm.key] = torch.stack([self._test_predictions(arm, seed) for seed in range(self.seeds)])
        return outcome

    def _tune(self, learner: Learner, arm: Arm, bar: Bar) -> None:
        """Choose hyperparameters by the mean score on the selection pictures; of equals the first."""
        scores = []
        for how in learner.grid:
            self.chosen[learner.key] = how
            scores.append(np.mean([self._selection_score(arm, seed, bar) for seed in range(TUNING_SEEDS)]))
        self.chosen[learner.key] = learner.grid[int(np.argmax(scores))]

    def _selection_score(self, arm: Arm, seed: int, bar: Bar) -> float:
        name = self._name(arm, seed)
        if self.state.has(name):
            bar.skip(1)
        else:
            self._train(arm, seed, name)
            bar.advance()
        saved = self.state.tensors(name)
        assert saved is not None
        return selection_score(saved[SELECTION], label_tensor(self.parts.selection))

    def _train(self, arm: Arm, seed: int, name: str) -> None:
        learner, how = self._learner(arm)
        real = self.parts.training
        counts = np.bincount(real.labels, minlength=len(real.classes))
        generated = self.generated.of_dose(arm, counts) if arm.synthetic else None
        images, number = training_set(arm, real, generated, self.seed + seed), self.seed + seed
        length = self.length.share(1 - REFIT_SHARE) if arm.refit else self.length
        weights = learner.fit(images, how, length, number, strong=arm.strong)
        if arm.refit:
            weights = learner.refit(weights, real, how, self.length.share(REFIT_SHARE), number)
        logits = learner.logits(weights, self.parts.selection)
        self.state.save(name, {SELECTION: logits, **{WEIGHTS + key: value for key, value in weights.items()}})

    def _test_predictions(self, arm: Arm, seed: int) -> torch.Tensor:
        saved = self.state.tensors(self._name(arm, seed))
        assert saved is not None
        weights = {key.removeprefix(WEIGHTS): value for key, value in saved.items() if key.startswith(WEIGHTS)}
        return self._learner(arm)[0].logits(weights, self.parts.test).argmax(1).to(torch.int32)

    def _learner(self, arm: Arm) -> tuple[Learner, Hyperparameters]:
        learner = self.pretrained if arm.pretrained else self.learner
        assert learner is not None
        return learner, self.chosen[learner.key]

    def _name(self, arm: Arm, seed: int) -> str:
        learner, how = self._learner(arm)
        return f"{RUNS}{learner.key}-{arm.key}-{how.key}-{seed}"


def selection_score(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The mean over classes of the mean log-likelihood of their pictures, at the temperature that suits them best.

    Of few pictures it says far more than their accuracy does, in which arms would differ by one or two of them; and
    the temperature leaves out how sure of itself a model is, which is no reason to prefer it.

    Parameters
    ----------
    logits, labels
        (N, K) and (N,) int64.
    """
    losses = nll(logits.double() / fit_temperature(logits, labels), labels, smoothing=1 / (len(labels) + 2))
    return -float(torch.stack([losses[labels == int(label)].mean() for label in np.unique(labels.numpy())]).mean())


def pictures_of(arms: Sequence[Arm], real: Images) -> Iterator[int]:
    """How many real pictures each arm of a learning curve learns from."""
    return (len(training_set(arm, real, None, 0)) for arm in arms)
