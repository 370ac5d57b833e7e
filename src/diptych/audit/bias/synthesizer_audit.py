"""A synthesizer's pictures class by class and group by group: distance, coverage and copies, with guidance and without.

Balanced counts can hide unequal quality, and guidance buys fidelity with variety, from some classes more than others.
"""

import copy
from collections.abc import Sequence

import numpy as np

from diptych.audit.bias.groups import Grouping, groupings
from diptych.audit.bias.synthesis_report import synthesis_report
from diptych.audit.bias.synthesis_scores import MIN_PICTURES, Reference, score_samples
from diptych.data.combine import with_groups
from diptych.data.images import Images
from diptych.data.provenance import refuse_generated
from diptych.data.training_digests import trained_on
from diptych.errors import DataError, UsageError
from diptych.interplay.inputs import GEOMETRY, NOT_HELD_OUT, square_images
from diptych.interplay.judge import choose_judge
from diptych.recognition.datasets import evaluation_part
from diptych.report import Report
from diptych.synthesis.datasets import random_subset
from diptych.synthesis.flow import Flow
from diptych.synthesis.gan import GAN
from diptych.synthesis.vae import VAE

Synthesizer = GAN | VAE | Flow
MAX_EACH, MAX_EACH_OF_MANY_CALLS = 500, 100  # samples of a class, on a processor
MAX_TRAINING = 20_000  # training pictures that are searched for copies


def audit_synthesizer(
    model: Synthesizer,
    images: Images,
    columns: Sequence[str] | None,
    seen: Images | None,
    number: int | None,
    seed: int,
) -> Report:
    """The audit of a synthesizer; see :func:`diptych.audit.bias.bias_audit.bias`."""
    if number is not None and number < MIN_PICTURES:
        raise UsageError(f"An audit needs {MIN_PICTURES} samples a class at least, not {number}.")
    refuse_generated(images, "An audit")
    reference, notes = _reference(model, images, columns, seen, seed)
    each = number or _samples_each(model, reference)
    scores = [
        score_samples(strength, _samples(guided, reference, each, seed), reference)
        for strength, guided in _strengths(model)
    ]
    return synthesis_report(model.kind, scores, reference, notes)


def _reference(
    model: Synthesizer, images: Images, columns: Sequence[str] | None, seen: Images | None, seed: int
) -> tuple[Reference, list[str]]:
    """The real pictures, those that the model was trained on, the groups and the features."""
    known = trained_on(images, model.training_digests)
    training, real, notes = seen, images, []
    if known.any():
        if seen is None and known.sum() >= MIN_PICTURES:  # copies of a few stray ones would tell nothing
            training = images[known]
        if (~known).sum() >= MIN_PICTURES:
            real = images[~known]
            notes.append(
                f"The model was trained on {int(known.sum()):,} of the pictures; it is compared with the others."
            )
        else:
            notes.append(NOT_HELD_OUT)
    real = _squares(evaluation_part(real), model.size_)
    if len(real) < MIN_PICTURES:
        raise DataError(f"There are {len(real)} real pictures to compare with; an audit needs {MIN_PICTURES} at least.")
    classes = _classes(model, real)
    if classes is not None:
        real = real.relabel(model.classes_)
    if training is not None:
        training = _squares(random_subset(training, MAX_TRAINING, seed), model.size_)
    judge = choose_judge(None, training if training is not None and training.classes else None, model.size_)
    notes.append(f"Judge: {judge.embedder.name}. {judge.meaning}")
    return Reference(real, judge.features(real), classes, groupings(real, columns), training, judge), notes


def _squares(images: Images, size: int) -> Images:
    """Readable pictures as squares, with their metadata."""
    readable = images.readable(size, GEOMETRY)
    return with_groups(square_images(readable, size), **dict(readable.groups))


def _classes(model: Synthesizer, real: Images) -> Grouping | None:
    """The classes of a conditional model as groups; ``None`` where it has none, or the pictures no labels."""
    if not model.classes_ or real.multi_label or not real.classes or (real.labels < 0).any():
        return None
    return Grouping("class", tuple(model.classes_), real.relabel(model.classes_).labels.astype(np.int64))


def _samples_each(model: Synthesizer, reference: Reference) -> int:
    most = MAX_EACH if model.calls <= 2 else MAX_EACH_OF_MANY_CALLS
    if reference.classes is None:
        return min(len(reference.images), 2 * most)
    smallest = int(np.bincount(reference.classes.numbers, minlength=len(model.classes_)).min())
    return min(most, max(MIN_PICTURES, smallest))


def _samples(model: Synthesizer, reference: Reference, each: int, seed: int) -> list[Images]:
    """Samples of each class, or (one set) of all."""
    if reference.classes is None:
        return [model.sample(each, seed=seed)]
    return [model.sample(each, label=name, seed=seed) for name in model.classes_]


def _strengths(model: Synthesizer) -> list[tuple[str, Synthesizer]]:
    """The model with its own guidance, and where it has some, without: (words, model) each."""
    guidance = getattr(model, "guidance", 1)
    if not model.classes_ or guidance == 1 or "tuned" in model.layout_:  # tuned ones have theirs built in
        return [("", model)]
    plain = copy.copy(model)
    plain.guidance = 1.0  # type: ignore[union-attr]
    return [(f"guidance {guidance:g}", model), ("guidance 1", plain)]
