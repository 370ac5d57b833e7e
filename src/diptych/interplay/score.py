"""``score``: how good made pictures are, in figures that can be trusted, and whether they are copies."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.interplay import inputs, memorisation
from diptych.interplay.cas import CAS, classification_accuracy_score, comparable_real, real_ceiling
from diptych.interplay.extractors import FeatureExtractor, choose_extractor
from diptych.interplay.inputs import GeneratedInput, RealInput
from diptych.metrics.distribution import FEWEST_TO_EXTRAPOLATE, frechet_at_infinity, kernel_distance
from diptych.metrics.intervals import NORMAL_95
from diptych.metrics.prdc import prdc
from diptych.report import Report, Score, Table, figures

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

SHOWN = 64  # pictures of either side
BESIDE = "Beside real pictures"
ALL = "(all)"  # classes
USEFUL = "Real pictures told right, after learning from"


def score(
    synthesizer_or_images: "GAN | VAE | Flow | Images",
    *,
    against: Images,
    judge: "Recognizer | None" = None,
    seen: Images | None = None,
    number: int | None = None,
    seed: int = 0,
) -> Report:
    """Judge made pictures by real ones: how near, how true, how varied, how useful, and whether they are copies.

    Parameters
    ----------
    synthesizer_or_images
        A fitted synthesizer, or pictures that anything has made.
    against
        Real pictures, best ones that were not trained on. If they are the very pictures that the synthesizer was
        given to learn from, that is found out: those that it kept back are judged against, and copies of the others
        looked for.
    judge
        Whose features distances are taken in; ``None``: see :mod:`diptych.interplay.extractors`.
    seen
        The pictures that were learned from, among which copies are looked for. ``None``: those of ``against``, if they
        turn out to be; else copies cannot be looked for, and the report says so.
    number
        How many made pictures to judge; ``None``: up to 2,000 (10,000 with a GPU; 500 of a synthesizer that runs its
        network many times a picture).
    seed
        Of the pictures made and of all that is drawn.

    Returns
    -------
    Report
        Scores: ``kernel_distance``, ``frechet_distance`` (from 2,000 pictures a side), ``precision``, ``recall``,
        ``density``, ``coverage``, ``cas`` (where there are labels), ``copies``, ``bits_per_dimension`` (where the model
        defines it). The table "Beside real pictures" tells what real pictures reach.

    Raises
    ------
    DataError
        There are too few pictures on a side.
    UsageError
        ``number`` is too small.
    """
    if number is not None and number < inputs.FEWEST:
        raise UsageError(f"A score needs at least {inputs.FEWEST} made pictures, not {number}.")
    started = time.monotonic()
    model = None if isinstance(synthesizer_or_images, Images) else synthesizer_or_images
    if isinstance(synthesizer_or_images, Images):
        made = inputs.image_input(synthesizer_or_images, number, seed)
    else:
        made = inputs.sample_input(synthesizer_or_images, number, seed)
    real = inputs.real_input(against, seen, model, made.size, seed)
    judged_by = choose_extractor(judge, real.aside, made.size)
    what = "made pictures" if model is None else f"pictures of a {model.kind}"
    report = Report(f"{len(made.images):,} {what} against {len(real.images):,} real ones")
    report.findings += [*real.notes, f"The judge is {judged_by.name}. {judged_by.meaning}"]
    _add_distances(report, judged_by.features(made.images), judged_by.features(real.images), seed)
    _add_usefulness(report, made, real)
    copied = memorisation.audit_copies(made.images, real)
    memorisation.add_copies(report, copied, made.images, real.training)
    if model is not None:
        _add_bits(report, model, real.images)
    _add_pictures(report, made.images, real.images)
    report.facts = _facts(made, real, judged_by, model, copied)
    report.facts["seconds in all"] = round(time.monotonic() - started, 2)
    return report


def _add_distances(report: Report, made: Tensor, real: Tensor, seed: int) -> None:
    """Distances and neighbourhoods, each beside what one half of the real pictures reaches against the other."""
    drawn = torch.Generator().manual_seed(seed)
    one, other = real[torch.randperm(len(real), generator=drawn)].tensor_split(2)
    made = made[torch.randperm(len(made), generator=drawn)]  # a folder lists them class by class
    n = min(len(other), len(made))
    apart, among = kernel_distance(made, real), kernel_distance(other, one)
    endless = frechet_at_infinity(made, real, seed=seed)
    beside: list[list[Any]] = [["kernel distance", Score(*apart, len(made)), Score(*among, len(other))]]
    report.scores["kernel_distance"] = Score(*apart, len(made))
    if endless is not None:
        report.scores["frechet_distance"] = Score(endless, None, None, len(made))
        halves = frechet_at_infinity(other, one, seed=seed)
        best = None if halves is None else Score(halves, None, None, len(other))
        beside.append(["Fréchet distance, extrapolated", report.scores["frechet_distance"], best])
    else:
        report.findings.append(
            f"The Fréchet distance needs {FEWEST_TO_EXTRAPOLATE:,} pictures a side, more for wide features; with fewer "
            "it tells their number more than their quality."
        )
    theirs, ours = prdc(made[:n], one[:n]), prdc(other[:n], one[:n])
    for name, value, reached in zip(theirs._fields, theirs, ours, strict=True):
        report.scores[name] = Score(value, None, None, n)
        beside.append([name, report.scores[name], Score(reached, None, None, n)])
    report.tables[BESIDE] = Table(["", "made", "one real half against the other"], beside)


def _add_usefulness(report: Report, made: GeneratedInput, real: RealInput) -> None:
    """The classification accuracy score."""
    readable = comparable_real(made.images, real.images)
    if readable is None:
        report.findings.append(
            "There is no classification accuracy score: it needs classes on both sides, two at least."
        )
        return
    taught = classification_accuracy_score(made.images, readable, made.size)
    if taught is None:
        report.findings.append(
            "The made pictures are too few to train a recognizer on: no classification accuracy score."
        )
        return
    best = real_ceiling(real.aside, made.images, readable, made.size)
    report.scores["cas"] = taught.total
    report.tables[USEFUL] = _useful(taught, best)


def _useful(taught: CAS, best: CAS | None) -> Table:
    rows = {ALL: taught.total, **taught.per_class}
    if best is None:
        return Table(["class", "made pictures"], [[name, told] for name, told in rows.items()])
    others = {ALL: best.total, **best.per_class}
    return Table(
        ["class", "made pictures", "as many real ones"], [[k, told, others.get(k)] for k, told in rows.items()]
    )


def _add_bits(report: Report, model: "GAN | VAE | Flow", real: Images) -> None:
    """Bits per dimension of the real pictures, where the model defines them."""
    measure = getattr(model, "bits_per_dimension", None)
    if measure is None:
        return
    try:
        bits = measure(real)
    except UsageError as error:  # such as a model of an earlier version, which lacks what this takes
        report.findings.append(f"No bits per dimension: {error}")
        return
    half = NORMAL_95 * float(bits.std()) / len(bits) ** 0.5
    mean = float(bits.mean())
    report.scores["bits_per_dimension"] = Score(mean, mean - half, mean + half, len(bits))


def _add_pictures(report: Report, made: Images, real: Images) -> None:
    for title, images in (("Made pictures, not selected", made), ("Real pictures", real)):
        rows = np.sort(np.random.default_rng(0).permutation(len(images))[:SHOWN])
        size = int(images.dimensions()[0, 0])
        report.figures[title] = figures.grid(images[rows].pixels(size).permute(0, 2, 3, 1).numpy())


def _facts(
    made: GeneratedInput,
    real: RealInput,
    judge: FeatureExtractor,
    model: "GAN | VAE | Flow | None",
    copied: memorisation.CopyAudit | None,
) -> dict[str, Any]:
    training = None if real.training is None else len(real.training)
    facts: dict[str, Any] = {
        "pictures": {"made": len(made.images), "real": len(real.images), "training": training},
        "size": made.size,
        "extractor": {"name": judge.name, "sha256": judge.sha256},
        "memorisation": None if copied is None else copied.json(),
    }
    if model is not None and made.seconds is not None:
        facts["calls a picture"] = model.calls
        facts["seconds a picture"] = round(made.seconds / len(made.images), 6)
    return facts
