"""``verdict``: does synthetic data help here? Measured by a protocol that can say "no"."""

import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diptych import files
from diptych.backbones import local
from diptych.data.images import Images, ImagesLike
from diptych.engine import machine
from diptych.engine.run_settings import MINUTES, SEED
from diptych.errors import UsageError
from diptych.interplay.verdict import generated, source
from diptych.interplay.verdict.answer import find_answer
from diptych.interplay.verdict.frozen_features import FrozenFeatures
from diptych.interplay.verdict.learner import Learner, Length
from diptych.interplay.verdict.page import details, make_report
from diptych.interplay.verdict.parts import Parts, divide
from diptych.interplay.verdict.small_network import SmallNetwork
from diptych.interplay.verdict.source import PictureSource
from diptych.interplay.verdict.state import ANSWER, PAGE, State
from diptych.interplay.verdict.study import Study
from diptych.progress import Bar, enclosing_bar
from diptych.recognition.networks.network import PHOTOGRAPH
from diptych.report import Report
from diptych.settings import numbers, whole

MIN_SEEDS = 5
STEPS_BEFORE = 3  # the synthesizer, its pictures, the filter
MAX_SIDE = 64  # px of a small network's input
VERSION = 1  # of the protocol: another one's folder is not continued


@dataclass(frozen=True)
class Plan:
    """How much is done; see :func:`verdict`.

    Attributes
    ----------
    length
        Of every training; ``None``: by the number of real pictures.
    learner
        What trains all arms; ``None``: chosen by the size of the pictures.
    """

    seeds: int = MIN_SEEDS
    seed: int = 0
    minutes: float | None = None
    length: Length | None = None
    learner: Learner | None = None


@numbers(minutes=MINUTES, seeds=whole(MIN_SEEDS), seed=SEED)
def verdict(
    images: ImagesLike,
    synthesizer: PictureSource,
    *,
    test: ImagesLike,
    into: str | Path | None = None,
    minutes: float | None = None,
    seeds: int = MIN_SEEDS,
    seed: int = 0,
) -> Report:
    """Measure whether pictures of a synthesizer, added to real ones, make a better recognizer.

    Near-duplicates of test pictures are left out; the real pictures are divided into training, filter validation and
    selection validation. Every way to train ("arm") takes as many optimiser steps, with several seeds: a tuned
    baseline, scarce classes drawn more often, strong augmentation, pretrained features, generated pictures at 0.5, 1
    and 3 times the real ones, these filtered, and with the last layer refitted on real pictures. Arms are chosen on the
    selection pictures; the test is read once, at the end. Intervals are by a paired bootstrap over test pictures and
    seeds. A learning curve says what twice as many real pictures would bring.

    Parameters
    ----------
    images
        Real labelled pictures.
    synthesizer
        A fitted GAN, VAE or Flow, or any object with the members of
        :class:`~diptych.interplay.verdict.source.PictureSource`. One that has seen (nearly) all of the pictures is
        trained again on the training part, with the same settings.
    test
        Other real labelled pictures.
    into
        Folder for ``report.html``, ``verdict.json`` (all figures) and what a killed verdict continues from. ``None``:
        nothing is kept.
    minutes
        Longest training of the synthesizer, where it is trained again; ``None``: as long as its first one took. No
        other step is shortened: fewer steps or seeds would change the answer.
    seeds
        Trainings of each arm, at least 5.
    seed
        Of every random choice.

    Returns
    -------
    Report
        ``verdict.word`` is "recommended" or "not_recommended".

    Raises
    ------
    DataError
        A generated picture is in the test or a validation part, or there are too few pictures.
    UsageError
        The folder holds something else, ``seeds`` is below 5, or the synthesizer has no classes.
    """
    plan = Plan(seeds, seed, minutes)
    with ExitStack() as stack:
        folder = Path(into) if into is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bar = stack.enter_context(enclosing_bar("Judging", STEPS_BEFORE))
        return carry_out(Images.of(images), synthesizer, Images.of(test), folder, plan, bar)


def carry_out(images: Images, synthesizer: PictureSource, test: Images, folder: Path, plan: Plan, bar: Bar) -> Report:
    """The verdict by a plan, in a folder; ``bar`` counts its steps."""
    _check_classes(synthesizer)
    files.check_output_folder(folder)
    state = State(folder, _identity(images, synthesizer, test, plan))
    parts = divide(images, test, synthesizer.training_digests, plan.seed)
    notes = []
    if parts.seen:
        synthesizer, note = source.train_again(synthesizer, parts.training, folder / "synthesizer", plan.minutes)
        notes.append(f"The synthesizer has seen too many of these pictures for the others to suffice. {note}")
    bar.advance()
    parts, learner, pretrained = choose_learner(parts) if plan.learner is None else (parts, plan.learner, None)
    drawn = generated.draw(synthesizer, parts, state, plan.seed)
    bar.advance()
    checked = generated.judge_generated(drawn, parts, state, plan.seed)
    bar.advance()
    length = plan.length or Length.of(len(parts.training))
    study = Study(parts, checked, learner, pretrained, length, plan.seeds, plan.seed, state)
    bar.update(total=STEPS_BEFORE + study.trainings())
    answer = find_answer(study.run(bar), parts)
    report = make_report(answer, study, notes)
    report.save(folder / PAGE)
    files.write_text(folder / ANSWER, files.json_text({**report.json(), **details(answer)}))
    return report


def _check_classes(synthesizer: PictureSource) -> None:
    if not synthesizer.classes_:
        raise UsageError(
            "The synthesizer was fitted without labels, so its pictures have none to learn from. Fit one on pictures "
            "with labels."
        )


def _identity(images: Images, synthesizer: PictureSource, test: Images, plan: Plan) -> dict[str, Any]:
    return {
        "pictures": images.fingerprint(),
        "test": test.fingerprint(),
        "synthesizer": source.identity(synthesizer),
        "seeds": plan.seeds,
        "seed": plan.seed,
        "minutes": plan.minutes,
        "length": None if plan.length is None else asdict(plan.length),
        "learner": None if plan.learner is None else plan.learner.key,
        "version": VERSION,
    }


def choose_learner(parts: Parts) -> tuple[Parts, Learner, Learner | None]:
    """What trains the arms, and the pictures as it takes them: photographs as they are, small ones at one size."""
    sides = parts.training.dimensions().min(1)
    side = int(np.median(sides[sides > 0]))
    weights = local.judging_weights(side, machine.device().type)
    classes = len(parts.classes)
    if weights is not None and side >= PHOTOGRAPH:
        return parts, FrozenFeatures(weights.network, side, classes), None
    size = max(8, min(side, MAX_SIDE))
    parts = parts.at(size)
    pretrained = None if weights is None else FrozenFeatures(weights.network, size, classes)
    return parts, SmallNetwork(parts.training, size), pretrained
