"""How well a gallery matches labelled pictures that are not in it."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from diptych.data.labels import label_names
from diptych.data.messages import counted
from diptych.data.picture_set import PictureSet
from diptych.errors import DataError
from diptych.metrics import verification
from diptych.metrics.intervals import wilson_interval
from diptych.metrics.verification import ErrorRates
from diptych.recognition.gallery.labelled_vectors import LabelledVectors
from diptych.recognition.gallery.matches import Matches
from diptych.recognition.gallery.pairs import labelled_pairs
from diptych.recognition.gallery.thresholds import Calibration
from diptych.report import Report, Score, Table
from diptych.report.verdict import Verdict

PAIR_FAR = 0.01  # at which verification is reported
GOOD_ACCURACY, FAIR_ACCURACY = 0.9, 0.6


def evaluation_report(
    images: PictureSet,
    vectors: Tensor,
    matches: Matches,
    unknown: Matches | None,
    calibration: Calibration,
    *,
    adapted: bool,
) -> Report:
    """The report on N pictures, none of which is in the gallery.

    Parameters
    ----------
    vectors
        (N, d) as they are searched.
    matches
        Of the pictures.
    unknown
        The matches of pictures of things that are not in the gallery; ``None``: there are none.
    calibration
        Of the gallery, whose threshold for pairs is tried.
    adapted
        Whether the gallery has an adapter.

    Raises
    ------
    DataError
        A picture has no label, or several.
    """
    targets = _labels(images)
    right = np.array([name == target for name, target in zip(matches.names, targets, strict=True)])
    scores = {"accuracy": _share(int(right.sum()), len(right))}
    scores["known_accepted"] = _share(int((~matches.unknown).sum()), len(right))
    if unknown is not None:
        scores["false_accept_rate"] = _share(int((~unknown.unknown).sum()), len(unknown))
    report = Report(f"Matching {counted(len(images), 'picture')}", scores)
    report.tables["Classes"] = _label_table(targets, right)
    pictures = LabelledVectors.of(vectors, targets, images.paths.tolist())
    _add_verification(report, pictures, calibration)
    report.verdict = _verdict(scores["accuracy"], adapted)
    return report


def _labels(images: PictureSet) -> list[str]:
    names = label_names(images.labels, images.classes)
    if any(len(labels) != 1 for labels in names):
        raise DataError("Pictures to evaluate on need one label each: put them into folders named by their labels.")
    return [labels[0] for labels in names]


def _share(hits: int, n: int) -> Score:
    return Score(hits / n if n else float("nan"), *wilson_interval(hits, n), n, share=True)


def _label_table(targets: Sequence[str], right: np.ndarray) -> Table:
    names = sorted(set(targets))
    array = np.array(targets, np.str_)
    rows = [[name, _share(int(right[array == name].sum()), int((array == name).sum()))] for name in names]
    return Table(["label", "recall"], rows)


def _add_verification(report: Report, pictures: LabelledVectors, calibration: Calibration) -> None:
    """TAR at a stated FAR, the equal error rate, and the FAR that the gallery's own threshold turns out to have."""
    pairs = labelled_pairs(pictures)
    if not len(pairs.genuine) or not len(pairs.impostor):
        report.findings.append("Pairs were not evaluated: that takes two labels of two pictures or more.")
        return
    rates, n = ErrorRates.of(pairs), len(pictures)
    report.scores["pair_tar_at_far_1"] = Score(
        rates.at_far(PAIR_FAR)[1], *verification.tar_interval(pairs, PAIR_FAR), n, share=True
    )
    report.scores["pair_equal_error_rate"] = Score(
        rates.equal_error_rate(), *verification.equal_error_interval(pairs), n, share=True
    )
    threshold = calibration.pair_threshold(PAIR_FAR)
    if threshold is not None:
        far = verification.false_accept_rate(pairs, threshold.value)
        interval = verification.far_interval(pairs, threshold.value)
        report.scores["pair_far_of_threshold"] = Score(far, *interval, n, share=True)
        report.findings.append(
            f"The gallery's threshold for pairs ({threshold.value:.3f}) is to let {threshold.far:.1%} of pairs of "
            f"different labels pass; here it lets {far:.2%} pass ({interval[0]:.2%} to {interval[1]:.2%})."
        )
    report.facts["pairs of one label"], report.facts["pairs of two labels"] = len(pairs.genuine), len(pairs.impostor)


def _verdict(accuracy: Score, adapted: bool) -> Verdict:
    reason = f"{accuracy} of {counted(accuracy.n, 'picture')} were matched with the right label."
    if accuracy.low is not None and accuracy.low >= GOOD_ACCURACY:
        return Verdict(
            "reliable", "The gallery matches pictures like these reliably.", reason, "diptych match MODEL PATH"
        )
    if accuracy.value >= FAIR_ACCURACY:
        sentence = "The gallery is often right about pictures like these; look at its answers before you rely on them."
    else:
        sentence = "The gallery is often wrong about pictures like these."
    word = "usable" if accuracy.value >= FAIR_ACCURACY else "poor"
    return Verdict(word, sentence, reason, f"diptych enroll MODEL MORE-PICTURES{'' if adapted else ' --adapt'}")
