"""What decides between a synthesizer and its extension: one measure on the held-out pictures, lower for the better."""

from collections.abc import Mapping

import torch

from diptych.engine.warm_start.extension import Comparison
from diptych.report import Score
from diptych.synthesis import datasets
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.protocols import SampledModel
from diptych.synthesis.training.quality import MAX_HELD_OUT, QualityEvaluator
from diptych.synthesis.training.sample_grids import EvaluationSamples

# Scores of held-out pictures that are losses. They tell two models apart more finely than distances of samples do, but
# a GAN has none.
LOSSES = ("held_out_loss", "bits_per_value")
SAMPLES = 256  # of a GAN

Measure = tuple[str, Score]


def held_out_measure(model: SampledModel, prepared: PreparedData, scores: Mapping[str, float]) -> Measure | None:
    """The measure of a finished model; ``None`` where no pictures are held out.

    Parameters
    ----------
    scores
        Of the model on the held-out pictures, by name.
    """
    held_out = prepared.held_out
    if held_out is None:
        return None
    for name in LOSSES:
        if name in scores:
            return name.replace("_", " "), Score(scores[name], None, None, min(len(held_out), datasets.MAX_HELD_OUT))
    evaluator = QualityEvaluator.for_data(prepared)
    if evaluator is None:
        return None
    samples = EvaluationSamples.of(model.shares_, SAMPLES)
    pixels = model.sample_pixels(samples.seeds, samples.labels)
    distance, _ = evaluator(pixels[torch.from_numpy(samples.measured)])
    return "kernel distance", Score(*distance, min(len(held_out), MAX_HELD_OUT))


def compare(before: Measure | None, after: Measure | None) -> Comparison | None:
    """The comparison of two measures; ``None`` if there are none."""
    if before is None or after is None:
        return None
    return Comparison(before[0], before[1], after[1], after[1].value < before[1].value)
