"""Whether a recognizer sees in the made pictures what they were asked to show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.metrics.intervals import wilson
from diptych.report import Score

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE


@dataclass(frozen=True)
class Agreement:
    """How often the recognizer read a made picture as the class asked for.

    Attributes
    ----------
    total
        The share over all pictures, with its Wilson interval.
    per_class
        The same for each class.
    images
        The pictures, class after class, ``per_class`` of each.
    """

    total: Score
    per_class: dict[str, Score]
    images: Images


def agreement(
    synthesizer: "GAN | VAE | Flow", recognizer: "Recognizer", *, per_class: int = 50, seed: int = 0
) -> Agreement:
    """Make ``per_class`` pictures of each class and let the recognizer read them; classes are matched by name.

    Raises
    ------
    UsageError
        The synthesizer knows no classes, or one that the recognizer does not know.
    """
    classes = synthesizer.classes_
    unknown = [name for name in classes if name not in recognizer.classes_]
    if not classes or unknown:
        why = f"the recognizer does not know {', '.join(unknown)}" if unknown else "the synthesizer knows no classes"
        raise UsageError(f"There is nothing to agree on: {why}. Fit both on pictures with the same classes.")
    made = [synthesizer.sample(per_class, label=name, seed=seed + i * per_class) for i, name in enumerate(classes)]
    scores = {}
    for name, images in zip(classes, made, strict=True):
        told = np.asarray(recognizer.predict(images).names)
        scores[name] = _share(int((told == name).sum()), len(images))
    images = made[0]
    for more in made[1:]:
        images = images + more
    hits = sum(round(score.value * score.n) for score in scores.values())
    return Agreement(_share(hits, len(images)), scores, images)


def _share(hits: int, n: int) -> Score:
    return Score(hits / n, *wilson(hits, n), n)
