"""Agreement: how often a recognizer predicts the class that a synthesizer was conditioned on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diptych.data.images import Images
from diptych.engine.run_settings import SEED
from diptych.errors import UsageError
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Score
from diptych.settings import numbers, whole

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE


@dataclass(frozen=True)
class Agreement:
    """How often the recognizer predicts the class of conditional samples.

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


@numbers(per_class=whole(1), seed=SEED)
def agreement(
    synthesizer: "GAN | VAE | Flow", recognizer: "Recognizer", *, per_class: int = 50, seed: int = 0
) -> Agreement:
    """Sample ``per_class`` pictures of each class and predict them with the recognizer; classes are matched by name.

    Raises
    ------
    UsageError
        The synthesizer has no classes, or one that the recognizer does not know; or they are swapped.
    """
    if not (hasattr(synthesizer, "sample") and hasattr(recognizer, "predict")):
        raise UsageError("Agreement is that of a synthesizer, named first, with a recognizer.")
    classes = synthesizer.classes_
    missing = [name for name in classes if name not in recognizer.classes_]
    if not classes or missing:
        why = f"the recognizer does not know {', '.join(missing)}" if missing else "the synthesizer has no classes"
        raise UsageError(f"Agreement cannot be measured: {why}. Fit both on pictures with the same classes.")
    samples = [synthesizer.sample(per_class, label=name, seed=seed + i * per_class) for i, name in enumerate(classes)]
    hits = {
        name: int((np.asarray(recognizer.predict(images).names) == name).sum())
        for name, images in zip(classes, samples, strict=True)
    }
    scores = {name: share_score(hits[name], len(images)) for name, images in zip(classes, samples, strict=True)}
    together = samples[0]
    for images in samples[1:]:
        together = together + images
    return Agreement(share_score(sum(hits.values()), len(together)), scores, together)
