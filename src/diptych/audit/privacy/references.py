"""Reference models: trained here by the audited model's own settings, each on one half of all candidates.

They tell how likely a picture is to a model that was trained on it and to one that was not, without which a plain
picture passes for one that the audited model knows by heart. They come in pairs, the two halves of one division, so
that half of them were trained on each picture (Carlini et al. 2022, section 5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from diptych.audit.privacy.candidates import Candidates
from diptych.data.images import Images
from diptych.data.splits import split
from diptych.errors import UsageError
from diptych.progress import enclosing_bar
from diptych.recognition.recognizer import Recognizer
from diptych.recognition.settings import AUTOMATIC
from diptych.synthesis.datasets import random_subset
from diptych.synthesis.settings import FlowSettings
from diptych.synthesis.synthesizer import Synthesizer

DEFAULT_RECOGNIZERS, DEFAULT_SYNTHESIZERS = 4, 2
MAX_VALIDATION = 500  # pictures of the other half, which only choose the moment that a reference is saved of
MIN_EPOCHS = 0.001

ModelT = TypeVar("ModelT", Recognizer, Synthesizer)
Fit = Callable[[Images, Images, int, float | None], ModelT]  # on a half, with the other one, by a seed, in minutes
Signal = Callable[[ModelT], NDArray[np.float64]]


@dataclass(frozen=True)
class References:
    """What the reference models say of the N candidates.

    Attributes
    ----------
    signals
        (R, N) float64, of each model for each picture.
    trained
        (R, N) bool, whether it was trained on it.
    """

    signals: NDArray[np.float64]
    trained: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.signals)


def check_number(number: int) -> None:
    """Refuse an odd number of references, or none: they come in pairs."""
    if number < 2 or number % 2:
        raise UsageError(f"Reference models come in pairs, so their number is even and at least 2, not {number}.")


def train_references(
    candidates: Candidates, number: int, fit: Fit[ModelT], signal: Signal[ModelT], minutes: float | None, seed: int
) -> References:
    """Train ``number`` models on halves of the candidates, and take the signal of each.

    Parameters
    ----------
    fit, signal
        How a model is trained, and what is taken of it for each candidate.
    minutes
        For all of them; ``None``: each as long as the audited model's own settings say.
    """
    images, signals = candidates.images, []
    trained = np.zeros((number, len(images)), bool)
    each = None if minutes is None else minutes / number
    with enclosing_bar("Training reference models, one a step", number) as bar:
        for pair in range(number // 2):
            halves = split(images, [0.5, 0.5], seed + pair)
            for side in range(2):
                model = fit(images[halves[side]], images[halves[1 - side]], seed + 2 * pair + side + 1, each)
                signals.append(signal(model))
                trained[2 * pair + side, halves[side]] = True  # all of them: what is validated on is in the other half
                bar.advance()
    return References(np.stack(signals), trained)


def fit_recognizer(audited: Recognizer) -> Fit[Recognizer]:
    """How a reference of a recognizer is trained: its network, size and settings, other seeds.

    Remedies and validation sets of its own are left out: they need columns that the candidates may not have.
    """
    parameters = recognizer_parameters(audited)

    def fit(half: Images, other: Images, seed: int, minutes: float | None) -> Recognizer:
        length = {} if minutes is None else {"minutes": minutes, "epochs": None}
        validation = random_subset(other, MAX_VALIDATION, seed)
        return Recognizer(**{**parameters, **length, "seed": seed}).fit(half, validate=validation)

    return fit


def recognizer_parameters(audited: Recognizer) -> dict[str, Any]:
    """The settings by which the audited recognizer would be trained again: what was chosen for it is fixed."""
    parameters = {**audited.parameters(), "size": audited.size_, "group": None, "remedy": None}
    if parameters["network"] == AUTOMATIC:
        parameters["network"] = audited.facts_["settings"]["network"]
    return parameters


def fit_synthesizer(audited: Synthesizer) -> Fit[Synthesizer]:
    """How a reference of a synthesizer is trained: by the same settings, for as many pictures as it was shown."""
    shown, seconds = audited.training_effort

    def fit(half: Images, other: Images, seed: int, minutes: float | None) -> Synthesizer:
        share = 1.0 if minutes is None or not seconds else min(1.0, 60 * minutes / seconds)
        epochs = max(MIN_EPOCHS, share * shown / len(half))
        parameters = {**audited.parameters(), "size": audited.size_, "minutes": None, "epochs": epochs, "seed": seed}
        if "tuned" in audited.layout_:  # a reference is not, so that few steps would not do
            parameters["steps"] = FlowSettings().steps
        return type(audited)(**parameters).fit(half, validate=random_subset(other, MAX_VALIDATION, seed))

    return fit
