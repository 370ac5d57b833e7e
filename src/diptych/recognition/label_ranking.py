"""The ranking of suspected label errors: what a doubter contradicts with confidence, and how good the doubter is.

References
----------
Ranking by self-confidence, out of fold: C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating uncertainty
in dataset labels", JAIR 2021.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.inspection.issues import LabelIssue
from diptych.data.labels import label_names
from diptych.recognition.confidence.temperature import fit_temperature
from diptych.recognition.evaluation.share_score import share_score

#: A label is suspected where the predicted one is so many times as probable, for each bit of the choice: 4 times with
#: two classes, 23 times with fifty, among which some other class is likelier by chance.
MIN_ODDS_PER_BIT = 4
MAX_LISTED_SHARE, MIN_LISTED = 0.1, 10  # of the labels are listed at most, but so many where there are few pictures
#: Of the labels of a set, a usual share of wrong ones (3 to 6 % in well-known sets, Northcutt et al., NeurIPS 2021).
USUAL_ERRORS = 0.05
MOST = 0.8  # of the contradicted labels, from which the note says nothing against the doubter
MIN_PROBABILITY = 1e-9  # smaller ones are raised to it before the logarithm

Probabilities = NDArray[np.float64]  # (N, K)
Logits = NDArray[np.float64]  # (N, K)


@dataclass(frozen=True)
class LabelSearch:
    """The labels that may be wrong.

    Attributes
    ----------
    issues
        All that are suspected, the most suspected first.
    listed
        How many of them are worth a look: the first ones.
    note
        What searched, and how far it is to be believed, in sentences.
    """

    issues: tuple[LabelIssue, ...]
    listed: int
    note: str


def rank_labels(rows: NDArray[np.int64], images: Images, logits: Logits, doubter: str) -> LabelSearch:
    """The labels that the doubter contradicts with confidence, the least likely first.

    Parameters
    ----------
    logits
        (N, K), out of fold: of a recognizer that was not trained on the picture. Temperature scaling makes their
        confidence honest, so that a weak doubter, which is seldom confident, suspects few.
    doubter
        What gave them, for the note.
    """
    if images.multi_label:
        likelihood = np.where(images.labels, _sigmoid(logits), _sigmoid(-logits))
        predicted, given, candidates = logits >= 0, likelihood.min(1), np.arange(len(images))
        note = f"Label errors were searched for by {doubter}."
    else:
        temperature = fit_temperature(torch.from_numpy(logits), torch.tensor(images.labels))
        probabilities = torch.from_numpy(logits / temperature).softmax(1).numpy()
        predicted, given = probabilities.argmax(1), probabilities[np.arange(len(images)), images.labels]
        min_odds = MIN_ODDS_PER_BIT * np.log2(len(images.classes))
        candidates = np.flatnonzero(probabilities.max(1) >= min_odds * given)
        accuracy = share_score(int((predicted == images.labels).sum()), len(images))
        guessing = float(np.bincount(images.labels).max() / len(images))
        note = (
            f"Label errors were searched for by {doubter}: cross-validated, it agrees with {accuracy.value:.1%} of "
            f"{len(images):,} labels ({guessing:.1%} by always naming the commonest)."
        )
        if accuracy.low is None or accuracy.low <= guessing:
            note += " That is no better than guessing, so it has no say, and no label is listed."
            candidates = candidates[:0]
        else:
            note += _describe_trust(accuracy.value)
    most = max(MIN_LISTED, int(MAX_LISTED_SHARE * len(images)))
    given_names, names = label_names(images.labels, images.classes), label_names(predicted, images.classes)
    issues = [
        LabelIssue(int(rows[i]), ", ".join(given_names[i]), ", ".join(names[i]), float(given[i]))
        for i in candidates[np.argsort(given[candidates], kind="stable")].tolist()
        if given_names[i] != names[i]
    ]
    if len(issues) > most:
        note += f" Of {len(issues):,} suspected labels the {most:,} most certain are listed; the manifest names all."
    return LabelSearch(tuple(issues), min(most, len(issues)), note)


def _describe_trust(accuracy: float) -> str:
    """How many of the suspected labels are wrong where a set has errors as usual; empty where most of them are."""
    wrong = USUAL_ERRORS / max(1 - accuracy, USUAL_ERRORS)
    if wrong >= MOST:
        return ""
    return (
        " So it is wrong itself about many of the others: "
        f"where one label in {round(1 / USUAL_ERRORS)} is wrong, expect about {wrong:.0%} of those that it contradicts "
        "to be. Look at the first ones first."
    )


def _sigmoid(logits: Logits) -> Logits:
    return np.asarray(1 / (1 + np.exp(-logits)))


def log_odds(probabilities: Probabilities, images: Images) -> Logits:
    """(N, K) logits with these probabilities."""
    clipped = np.clip(probabilities, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.log(clipped) - (np.log1p(-clipped) if images.multi_label else 0.0))
