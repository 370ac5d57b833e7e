"""``balance``: a synthesizer fills up the classes of a set that have few pictures, as far as its pictures are good."""

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych import tensor_files
from diptych.data.combine import join, with_groups
from diptych.data.images import Images, ImagesLike
from diptych.data.messages import join_names
from diptych.data.provenance import refuse_generated
from diptych.data.training_digests import trained_on
from diptych.engine.run_settings import SEED, check_seed
from diptych.errors import DataError, UsageError
from diptych.interplay.balance_needs import class_needs
from diptych.interplay.balance_report import balance_report
from diptych.interplay.balance_sampling import ClassResult, Correct, fill_class
from diptych.interplay.inputs import GEOMETRY
from diptych.interplay.sample_filter import MIN_VALIDATION, SampleFilter
from diptych.progress import enclosing_bar
from diptych.report import Report
from diptych.settings import numbers, whole
from diptych.synthesis.datasets import match_labels, training_part

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

log = logging.getLogger("diptych")
HELD_OUT_SHARE, MAX_HELD_OUT_SHARE = 0.2, 0.5  # of the real pictures, for the filter's limits and for the errors
HELD_OUT_MARGIN = 1.5  # times as many as the filter needs, where a fifth is fewer


@dataclass(frozen=True)
class Balance:
    """The result of balancing a set.

    Attributes
    ----------
    images
        All pictures of the set, and behind them the generated ones that were added, of origin "synthetic".
    report
        What was added, what was dropped, and why.
    """

    images: Images
    report: Report


@numbers(per_class=whole(1), seed=SEED)
def balance(
    images: ImagesLike,
    synthesizer: "GAN | VAE | Flow",
    *,
    per_class: int,
    recognizer: "Recognizer | None" = None,
    seed: int = 0,
) -> Images:
    """Fill up the scarce classes of a set with generated pictures that pass the filter.

    Parameters
    ----------
    images
        Real pictures with one label each. Where they come in parts, those to train on are filled up; the others are
        passed through.
    synthesizer
        Conditional on these classes.
    per_class
        How many pictures to train on a class shall have, real and generated together.
    recognizer
        Whose errors say which class needs pictures; it never filters them. ``None``: the filter's own.
    seed
        Of every random choice; the same arguments give the same pictures.

    Returns
    -------
    Images
        The set, with the generated pictures behind it; ``origins`` says which they are.

    Raises
    ------
    DataError
        There are too few pictures, some are generated, have no label, or several.
    UsageError
        The synthesizer does not know a class that is scarce, or none is.
    """
    return balanced(images, synthesizer, per_class=per_class, recognizer=recognizer, seed=seed).images


def balanced(
    images: ImagesLike,
    synthesizer: "GAN | VAE | Flow",
    *,
    per_class: int,
    recognizer: "Recognizer | None" = None,
    seed: int = 0,
) -> Balance:
    """The same with the report on it; see :func:`balance`."""
    check_seed(seed)
    images = Images.of(images).readable(synthesizer.size_, GEOMETRY)
    real = _usable(training_part(images))
    scarce = _scarce_classes(real, per_class)
    _check_classes(synthesizer, scarce)
    with enclosing_bar("Balancing", 1 + len(scarce)) as bar:
        sample_filter = _fit_filter(real, synthesizer.size_, seed)
        bar.advance()
        correct = None if recognizer is None else _correct_by(recognizer, real)
        held_out, right = _errors(sample_filter, real, recognizer, correct)
        counts = np.array([real.counts()[name] for name in real.classes])
        results = []
        for number, need in enumerate(class_needs(real.classes, counts, per_class, held_out, right)):
            results.append(fill_class(need, number, real, synthesizer, sample_filter, correct, seed))
            if need.missing:
                bar.advance()
    report = balance_report(results, real, sample_filter, per_class, given=recognizer is not None)
    return Balance(_with_added(images, results), report)


def request_facts(
    images: Images, synthesizer: "GAN | VAE | Flow", per_class: int, recognizer: "Recognizer | None", seed: int
) -> dict[str, Any]:
    """What the result follows from, JSON-able: the same facts, the same pictures."""
    return {
        "pictures": images.fingerprint(),
        "synthesizer": hashlib.sha256(tensor_files.pack(synthesizer.weights())).hexdigest(),
        "parameters": synthesizer.parameters(),
        "recognizer": None
        if recognizer is None
        else hashlib.sha256(tensor_files.pack(recognizer.network_.state_dict())).hexdigest(),
        "per_class": per_class,
        "seed": seed,
    }


def _usable(images: Images) -> Images:
    """The real pictures to fill up: labelled, readable, of classes that have pictures."""
    refuse_generated(images, "A balance")
    if images.multi_label:
        raise DataError("A set whose pictures have several labels each cannot be balanced. Use one label a picture.")
    images = images[images.labels >= 0]
    if not len(images):
        raise DataError(
            "There are no labelled, readable pictures to balance. Say where the labels are: --labels names, COLUMN or "
            "TABLE.csv:COLUMN (in Python: Images.open(path, labels=…))."
        )
    return images.relabel([name for name, count in images.counts().items() if count])


def _scarce_classes(images: Images, per_class: int) -> list[str]:
    if per_class < 1:
        raise UsageError(f"A class has at least 1 picture, not {per_class}. Choose a higher --per-class.")
    counts = images.counts()
    scarce = [name for name, count in counts.items() if count < per_class]
    if not scarce:
        raise UsageError(
            f"Every class has {per_class:,} pictures to train on or more, so none is scarce. The largest has "
            f"{max(counts.values()):,}: choose a --per-class above {min(counts.values()):,}."
        )
    return scarce


def _check_classes(synthesizer: "GAN | VAE | Flow", scarce: list[str]) -> None:
    if not synthesizer.classes_:
        raise UsageError(
            "The synthesizer was fitted without labels, so it cannot be asked for a class. Fit one on pictures with "
            "labels: diptych fit flow PICTURES"
        )
    unknown = [name for name in scarce if name not in synthesizer.classes_]
    if unknown:
        raise UsageError(
            f"The synthesizer does not know {join_names(unknown)}; it knows {join_names(synthesizer.classes_, 8)}. Fit "
            "one on pictures of all scarce classes: diptych fit flow PICTURES"
        )


def _fit_filter(real: Images, size: int, seed: int) -> SampleFilter:
    share = min(MAX_HELD_OUT_SHARE, max(HELD_OUT_SHARE, HELD_OUT_MARGIN * MIN_VALIDATION / len(real)))
    training, validation = real.split(1 - share, share, seed=seed)
    return SampleFilter.fit(training, validation, size, seed=seed)


def _correct_by(recognizer: "Recognizer", real: Images) -> Correct:
    """Whether a person's recognizer gets the label of each picture."""
    unknown = [name for name in real.classes if name not in recognizer.classes_]
    if recognizer.multi_label_ or unknown:
        what = f"does not know {join_names(unknown)}" if unknown else "gives several labels a picture"
        raise UsageError(f"The recognizer {what}. Name one that was fitted on pictures with the same classes.")

    def correct(images: Images) -> NDArray[np.bool_]:
        return np.asarray(recognizer.predict(images).names == np.asarray(images.classes)[images.labels], np.bool_)

    return correct


def _errors(
    sample_filter: SampleFilter, real: Images, recognizer: "Recognizer | None", correct: Correct | None
) -> tuple[NDArray[np.int64], Tensor]:
    """(N,) labels of held-out real pictures among the set's classes, and whether the recognizer gets them right."""
    if recognizer is None or correct is None:
        names = np.asarray(sample_filter.classes)[sample_filter.validation.labels]
        return np.array([real.classes.index(name) for name in names]), sample_filter.validation.correct
    others = real[~trained_on(real, recognizer.training_digests)]
    if not len(others):
        log.warning("The recognizer was trained on all of these pictures, so its errors are not known.")
    right = correct(others) if len(others) else np.zeros(0, bool)
    return match_labels(others, real.classes), torch.from_numpy(right)


def _with_added(images: Images, results: list[ClassResult]) -> Images:
    """The set, and the generated pictures behind it, in the part to train on."""
    added = [result.added for result in results if result.added is not None]
    if not added:
        return images
    generated = join(added)
    if "split" in images.groups:
        generated = with_groups(generated, split=np.full(len(generated), "train"))
    return images + generated
