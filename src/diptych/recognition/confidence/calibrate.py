"""What makes an answer one to act on: its calibration, and how well that holds, measured and told."""

from collections.abc import Callable

import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.metrics.intervals import bootstrap, wilson
from diptych.metrics.selective import area_under_risk_coverage, aurc_interval, risk_coverage
from diptych.recognition import datasets
from diptych.recognition.confidence import conformal, ood, temperature
from diptych.recognition.confidence.decision import Reading
from diptych.recognition.inference.embeddings import Memory
from diptych.recognition.inference.outputs import Observed
from diptych.report import Report, Score, Table
from diptych.report import confidence_figures as figures
from diptych.report.report import number


def calibrated(observed: Observed, images: Images, memory: Memory | None) -> Reading:
    """How to read a network's answers, from what it sees of labelled pictures that it was not trained on.

    The same pictures set the temperature and then the cutoff of the sets. A temperature is one number, and leaves
    the order of two classes' probabilities as it is, so that this moves coverage by less than the range that is told;
    ``evaluate`` measures it on pictures that set neither.
    """
    logits, several = observed.logits, images.multi_label
    truth = datasets.truth(images)
    first = Reading(images.classes, several, temperature.temperature(logits, truth))
    chances = first.probabilities(logits)
    find = conformal.cutoff_of_several if several else conformal.cutoff
    return Reading(
        images.classes,
        several,
        first.temperature,
        ood.energy_threshold(ood.energy(logits, multi_label=several)),
        len(images),
        find(chances.numpy(), images.labels),
        tuple(temperature.label_thresholds(chances, truth).tolist()) if several else (),
        None if memory is None else ood.Scale.of(ood.signs(observed, memory, multi_label=several)),
    )


def add_to(report: Report, sure: Tensor, right: Tensor, reading: Reading) -> None:
    """Add how far confidence can be relied upon: reliability, risk over coverage, and what was promised.

    Parameters
    ----------
    sure, right
        How sure each answer was, and whether it was right: (N,), or (N, K) of several labels.
    """
    report.figures["Reliability: how often answers of a confidence are right"] = figures.reliability(
        sure.flatten().numpy(), right.flatten().numpy()
    )
    if right.ndim == 2:  # a picture is as sure as its least sure label, and right where all are
        sure, right = sure.amin(1), right.all(1)
    low, high = aurc_interval(sure, right)
    report.scores["aurc"] = Score(area_under_risk_coverage(sure, right), max(0.0, low), min(1.0, high), len(sure))
    curve = risk_coverage(sure, right)
    report.figures["Risk and coverage: the share wrong among the surest answers"] = figures.risk_coverage(
        *(values.numpy() for values in curve)
    )
    if reading.cutoff is not None:
        report.findings += [
            coverage_promised(reading),
            f"Unknown: of known pictures, {share_told_unknown(reading)} are told so.",
        ]
        report.facts |= {"temperature": reading.temperature, "labels are in the set from": reading.cutoff}
    if reading.label_thresholds:
        rows = [[name, value] for name, value in zip(reading.classes, reading.label_thresholds, strict=True)]
        report.tables["A label is told from this probability on"] = Table(["label", "probability"], rows)


def coverage_promised(reading: Reading) -> str:
    """How often the truth is in the sets, in a sentence."""
    n, of = reading.pictures, f"{conformal.TARGET:.0%}"
    if reading.multi_label:
        return f"On average the set holds {of} or more of the labels that a picture has, as set on {n} pictures."
    low, high = conformal.coverage_range(n)
    return (
        f"The set holds the true label of {of} of pictures like those that set it; by their count of {n}, of "
        f"{low:.1%} to {high:.1%}, and of more where the likeliest label alone is right more often."
    )


def share_told_unknown(reading: Reading) -> str:
    """The share of known pictures that is told unknown, with its 95 % interval over draws of the pictures.

    As many as fall under the k-th lowest of n: Beta(k, n + 1 − k).
    """
    from scipy.special import betaincinv  # scipy.stats has it, too, and takes a second longer to import

    n, k = reading.pictures, ood.flagged(reading.pictures)
    if k == 0:
        return f"{ood.SHARE:.0%}, as far as {n} pictures can tell"
    low, high = betaincinv(k, n + 1 - k, [0.025, 0.975])
    return f"{k / (n + 1):.1%} ({low:.1%} to {high:.1%})"


def add_measured(report: Report, images: Images, logits: Tensor, reading: Reading) -> None:
    """Add what of the promises holds on labelled pictures that the calibration did not see, from their logits."""
    truth, told = datasets.truth(images), reading.sets(reading.probabilities(logits))
    if told is None:
        return
    sets, n = torch.from_numpy(told), len(truth)
    if truth.ndim == 2:
        owned = truth.any(1).nonzero().flatten()
        kept = ((sets & truth).sum(1) / truth.sum(1).clamp(min=1))[owned].double()
        coverage = resampled(lambda rows: float(kept[rows].mean()), len(owned)) if len(owned) else None
    else:
        hits = int(sets[torch.arange(n), truth].sum())
        coverage = Score(hits / n, *wilson(hits, n), n)
    sizes = sets.sum(1).double()
    if coverage is not None:
        report.scores["coverage"] = coverage
        _warn(report, coverage)
    report.scores["set_size"] = resampled(lambda rows: float(sizes[rows].mean()), n, most=float("inf"))


def add_seen_before(report: Report, images: Images, memory: Memory | None) -> None:
    """Say so if pictures that are judged on were trained on."""
    known = set(memory.paths if memory else ()).intersection(images.paths.tolist())
    if known:
        report.findings.insert(
            0,
            f"{len(known)} or more of these {len(images)} pictures were trained on, by their paths: the scores look "
            "too good. Judge on others.",
        )


def resampled(score: Callable[[Tensor], float], n: int, most: float = 1.0) -> Score:
    """A score over n rows with its bootstrap interval, within 0..most."""
    low, high = bootstrap(score, n)
    return Score(score(torch.arange(n)), max(0.0, low), min(most, high), n)


def _warn(report: Report, coverage: Score) -> None:
    if coverage.high is not None and coverage.high < conformal.TARGET:
        report.findings.append(
            f"The label sets hold the truth less often than promised, {number(coverage.value)} instead of "
            f"{conformal.TARGET}: these pictures are unlike those of the calibration. Call calibrate(images) with "
            "some of them."
        )
