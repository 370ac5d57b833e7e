"""``score``: how good generated pictures are, with intervals, and whether they are copies of training pictures."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diptych.data import duplicates
from diptych.data.images import Images, ImagesLike
from diptych.data.provenance import sheet_facts
from diptych.engine.run_settings import MINUTES, SEED
from diptych.errors import UsageError
from diptych.interplay import cas, inputs, memorisation
from diptych.interplay.budget import EMBEDDING_SHARE, Budget
from diptych.interplay.cas import CAS
from diptych.interplay.inputs import GeneratedInput, RealInput
from diptych.interplay.judge import Judge, choose_judge
from diptych.marks import Generated
from diptych.metrics.distribution import (
    MIN_TO_EXTRAPOLATE,
    Distance,
    frechet_at_infinity,
    kernel_distance,
    kernel_variance,
)
from diptych.metrics.intervals import NORMAL_95
from diptych.metrics.prdc import PRDC, prdc
from diptych.progress import Bar, enclosing_bar
from diptych.report import Report, Score, Table, Verdict, figures
from diptych.settings import numbers, whole
from diptych.synthesis.datasets import random_subset
from diptych.synthesis.flow import Flow
from diptych.synthesis.gan import GAN
from diptych.synthesis.vae import VAE
from diptych.synthesis.verdict import SAME_SHARE, Evidence, samples_verdict

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

STEPS = 5  # samples, judge, features, copies and distances, usefulness
SHARES = ("precision", "recall", "coverage")  # density may exceed 1
RARE = {"kernel_distance", "frechet_distance", "density", "bits_per_dimension"}
PICTURES_SHOWN = 64  # generated ones, and real ones
BASELINE_TABLE = "Compared with real pictures"
ALL_CLASSES = "(all)"
CAS_TABLE = "Accuracy on real pictures, after training on"


@numbers(number=whole(inputs.MIN_PICTURES), minutes=MINUTES, seed=SEED)
def score(
    synthesizer_or_images: GAN | VAE | Flow | ImagesLike,
    *,
    against: ImagesLike,
    judge: "Recognizer | None" = None,
    seen: ImagesLike | None = None,
    number: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> Report:
    """Score generated pictures against real ones: distance, fidelity, diversity, usefulness for training, and copies.

    All of it is weighed into the report's verdict, by the rules of :mod:`diptych.synthesis.verdict`.

    Parameters
    ----------
    synthesizer_or_images
        A fitted synthesizer, or pictures that any program generated.
    against
        Real pictures, best ones that were not trained on. If they are the very pictures that the synthesizer was fitted
        on, this is detected: the generated pictures are compared with those that were held out, and copies of the
        others are searched for.
    judge
        The recognizer whose features the distances are computed from; ``None``: see
        :mod:`diptych.interplay.judge`.
    seen
        The training pictures, among which copies are searched for. ``None``: those of ``against``, if they are the
        synthesizer's; else copies cannot be searched for, and the report says so.
    number
        How many generated pictures to score; ``None``: up to 2,000 (10,000 with a GPU; 500 of a synthesizer that runs
        its network many times per picture).
    minutes
        A time budget: fewer pictures and shorter trainings, as far as need be; the report says what was left out.
        ``None``: as long as it takes.
    seed
        Of the samples and of all random choices.

    Returns
    -------
    Report
        Scores: ``kernel_distance``, ``frechet_distance`` (from 2,000 generated and 2,000 real pictures), ``precision``,
        ``recall``, ``density``, ``coverage``, ``cas`` (where there are labels), ``copies``, ``bits_per_dimension``
        (where the model defines it). The table "Compared with real pictures" has the values that real pictures reach.
        ``verdict.word`` is "close", "recognisable", "repetitive" (little variety), "noise" (like noise or blurs),
        "copies" or "same" (the same pictures on both sides).

    Raises
    ------
    DataError
        There are too few generated or real pictures.
    UsageError
        ``number`` is too small, or ``minutes`` is not above 0.
    """
    against, seen = Images.of(against), None if seen is None else Images.of(seen)
    source = synthesizer_or_images
    samples = source if isinstance(source, GAN | VAE | Flow) else Images.of(source)
    with enclosing_bar("Scoring", STEPS) as bar:
        return _score(samples, against, judge, seen, number, Budget(minutes), seed, bar)


def _score(
    samples: GAN | VAE | Flow | Images,
    against: Images,
    judge: "Recognizer | None",
    seen: Images | None,
    number: int | None,
    budget: Budget,
    seed: int,
    bar: Bar,
) -> Report:
    model = None if isinstance(samples, Images) else samples
    if isinstance(samples, Images):
        generated = inputs.image_input(samples, against, number, seed)
    else:
        generated = inputs.sample_input(samples, against, number, seed, budget)
    real = inputs.real_input(against, seen, model, generated.size, seed)
    bar.advance()
    judge_used = choose_judge(judge, real.auxiliary, generated.size, budget.training_minutes())
    generated, real = _affordable_inputs(generated, real, judge_used, seed, budget)
    what = "generated pictures" if model is None else f"pictures of a {model.kind}"
    report = Report(f"{len(generated.images):,} {what} against {len(real.images):,} real ones")
    report.findings += real.notes
    bar.advance()
    features = judge_used.features(generated.images), judge_used.features(real.images)
    bar.advance()
    _add_pictures(report, generated.images, real.images)
    audit = memorisation.audit_copies(generated.images, real, budget)
    memorisation.add_copies(report, audit, real.training)
    report.findings.append(f"Judge: {judge_used.embedder.name}. {judge_used.meaning}")
    ours, baseline, distance = _add_distances(report, *features, seed)
    bar.advance()
    usefulness = _add_cas(report, generated, real, budget)
    bar.advance()
    if model is not None:
        _add_bits(report, model, real.images)
    report.findings += budget.note()
    same = inputs.shared_pictures(generated.images, real)
    evidence = Evidence(
        ours,
        baseline,
        distance,
        min(len(generated.images), len(real.images)),
        same=same / len(generated.images),
        repeated=duplicates.repeated_share(generated.images),
        real_repeated=duplicates.repeated_share(real.images),
        copied=None if audit is None else audit.share.value * (audit.verdict == "copies"),
        usefulness=usefulness,
        weakness=judge_used.weakness,
        caveats=[*_shared_note(same, len(generated.images)), *generated.notes],
    )
    report.verdict = _verdict(evidence, model)
    report.rare |= RARE
    report.facts = _facts(generated, real, judge_used, model, audit)
    report.facts["seconds in total"] = round(budget.seconds, 2)
    return report


def _verdict(evidence: Evidence, model: GAN | VAE | Flow | None) -> Verdict:
    if model is None:
        return samples_verdict(evidence)
    return samples_verdict(evidence, model.kind, model.minutes, tuned="tuned" in model.layout_)


def _affordable_inputs(
    generated: GeneratedInput, real: RealInput, judge: Judge, seed: int, budget: Budget
) -> tuple[GeneratedInput, RealInput]:
    """As many pictures of each side as there is time to embed."""
    most = max(len(generated.images), len(real.images))
    embedder = replace(judge.embedder, frozen=False)  # what is in the feature cache would take no time

    def trial(n: int) -> None:
        list(embedder.batches(generated.images[:n]))

    affordable = budget.affordable(most, EMBEDDING_SHARE, trial, times=2)
    if affordable == most:
        return generated, real
    budget.left_out.append(f"comparing more than {affordable:,} pictures a side")
    return (
        replace(generated, images=random_subset(generated.images, affordable, seed)),
        replace(real, images=random_subset(real.images, affordable, seed)),
    )


def _shared_note(same: int, generated: int) -> list[str]:
    """A note where pictures are on both sides; empty where none is, or where so many are that this is the verdict."""
    if not 0 < same < SAME_SHARE * generated:
        return []
    return [
        f"{same:,} of the {generated:,} generated pictures are identical with real ones that they are compared with, "
        "which flatters every score. Compare with other real pictures."
    ]


def _add_distances(report: Report, generated: Tensor, real: Tensor, seed: int) -> tuple[PRDC, PRDC, Distance]:
    """Distances and neighbourhood scores, each with the value of one half of the real pictures against the other.

    Returns the neighbourhood scores, those of the real half, and the distance in units of the kernel variance.
    """
    generator = torch.Generator().manual_seed(seed)
    one_half, other_half = real[torch.randperm(len(real), generator=generator)].tensor_split(2)
    generated = generated[torch.randperm(len(generated), generator=generator)]  # a folder lists them class by class
    n = min(len(other_half), len(generated))
    measured = kernel_distance(generated, real)
    distance = Score(*measured, len(generated))
    report.scores["kernel_distance"] = distance
    rows: list[list[Any]] = [
        ["kernel distance", distance, Score(*kernel_distance(other_half, one_half), len(other_half))]
    ]
    extrapolated = frechet_at_infinity(generated, real, seed=seed)
    if extrapolated is not None:
        report.scores["frechet_distance"] = Score(extrapolated, None, None, len(generated))
        of_halves = frechet_at_infinity(other_half, one_half, seed=seed)
        baseline = None if of_halves is None else Score(of_halves, None, None, len(other_half))
        rows.append(["Fréchet distance, extrapolated", report.scores["frechet_distance"], baseline])
    else:
        report.findings.append(
            f"The Fréchet distance needs {MIN_TO_EXTRAPOLATE:,} generated and as many real pictures, more for wide "
            "features; with fewer it depends more on their number than on their quality."
        )
    ours, baselines = prdc(generated[:n], one_half[:n]), prdc(other_half[:n], one_half[:n])
    for name, value, baseline_value in zip(ours._fields, ours, baselines, strict=True):
        report.scores[name] = Score(value, None, None, n, share=name in SHARES)
        rows.append([name, report.scores[name], Score(baseline_value, None, None, n, share=name in SHARES)])
    report.tables[BASELINE_TABLE] = Table(["", "generated", "one real half against the other"], rows)
    unit = max(kernel_variance(real), 1e-12)  # 0 where all real pictures are one
    return ours, baselines, Distance(*(end / unit for end in measured))


def _add_cas(report: Report, generated: GeneratedInput, real: RealInput, budget: Budget) -> float | None:
    """The classification accuracy score; returns it as a share of what real pictures reach, if both are known."""
    comparable = cas.comparable_real(generated.images, real.images)
    if comparable is None:
        report.findings.append(
            "No classification accuracy score: generated and real pictures need labels of two common classes or more."
        )
        return None
    minutes = budget.cas_minutes()
    if minutes == 0:
        budget.left_out.append("the classification accuracy score")
        return None
    seeds = cas.SEEDS if minutes is None else 1
    ours = cas.classification_accuracy_score(generated.images, comparable, generated.size, seeds=seeds, minutes=minutes)
    if ours is None:
        report.findings.append(
            "No classification accuracy score: there are too few generated pictures to train a recognizer on."
        )
        return None
    ceiling = cas.real_ceiling(real.auxiliary, generated.images, comparable, generated.size, minutes)
    report.scores["cas"] = ours.total
    report.tables[CAS_TABLE] = _cas_table(ours, ceiling)
    return None if ceiling is None else ours.total.value / max(ceiling.total.value, 1e-9)


def _cas_table(ours: CAS, ceiling: CAS | None) -> Table:
    accuracies = {ALL_CLASSES: ours.total, **ours.per_class}
    if ceiling is None:
        return Table(["class", "generated pictures"], [[name, accuracy] for name, accuracy in accuracies.items()])
    of_real = {ALL_CLASSES: ceiling.total, **ceiling.per_class}
    rows = [[name, accuracy, of_real.get(name)] for name, accuracy in accuracies.items()]
    return Table(["class", "generated pictures", "as many real pictures"], rows)


def _add_bits(report: Report, model: GAN | VAE | Flow, real: Images) -> None:
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


def _add_pictures(report: Report, generated: Images, real: Images) -> None:
    unknown = Generated("synthetic")  # pictures of another program, which tells nothing
    for title, images, facts in (
        ("Generated pictures, not selected", generated, unknown),
        ("Real pictures", real, None),
    ):
        rows = np.sort(np.random.default_rng(0).permutation(len(images))[:PICTURES_SHOWN])
        size = int(images.dimensions()[0, 0])
        pixels = images[rows].pixels(size).permute(0, 2, 3, 1).numpy()
        report.figures[title] = figures.grid(pixels, generated=sheet_facts(images, rows) or facts)


def _facts(
    generated: GeneratedInput,
    real: RealInput,
    judge: Judge,
    model: GAN | VAE | Flow | None,
    audit: memorisation.CopyAudit | None,
) -> dict[str, Any]:
    training = None if real.training is None else len(real.training)
    facts: dict[str, Any] = {
        "pictures": {"generated": len(generated.images), "real": len(real.images), "training": training},
        "size": generated.size,
        "extractor": judge.embedder.facts(),
        "memorisation": None if audit is None else audit.json(),
    }
    if model is not None and generated.seconds is not None:
        facts["network calls per picture"] = model.calls
        facts["seconds per picture"] = round(generated.seconds, 6)
    return facts
