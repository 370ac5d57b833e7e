"""Single pictures that a model knows by heart, where there are enough reference models to say so of one picture.

The rates of an attack are averages over all pictures: a picture above the threshold may be one of the false alarms. Of
one picture something is known only from several models that were trained on it and several that were not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diptych.audit.privacy.candidates import Candidates
from diptych.audit.privacy.references import References

MIN_REFERENCES = 16
SIGNIFICANCE = 0.05  # for all pictures together
MAX_SHOWN = 24
WHY_NOT = (
    "Which single pictures are most at risk is not shown: the rates hold for all pictures together, not for one. That "
    f"takes {MIN_REFERENCES} reference models at least, half of them trained on each picture: --references "
    f"{MIN_REFERENCES}."
)


@dataclass(frozen=True)
class PictureAtRisk:
    """A training picture, and the mean probability of its label by models that were trained on it and that were not."""

    row: int
    trained: float
    not_trained: float


def pictures_at_risk(references: References, candidates: Candidates) -> Sequence[PictureAtRisk] | None:
    """The training pictures whose probability depends on them being trained on, the most so first.

    By Welch's test of log p in the references that were trained on the picture against those that were not, one-sided
    and corrected for all training pictures (Bonferroni). The difference is the picture's counterfactual memorisation
    (Zhang et al. 2023; Feldman & Zhang 2020). ``None``: there are too few references.
    """
    from scipy.stats import ttest_ind

    if len(references) < MIN_REFERENCES:
        return None
    rows = np.flatnonzero(candidates.members)
    shown = []
    for row in rows.tolist():
        trained = references.trained[:, row]
        inside, outside = references.signals[trained, row], references.signals[~trained, row]
        if min(len(inside), len(outside)) < MIN_REFERENCES // 4 or max(inside.std(), outside.std()) == 0:
            continue
        p_value = float(ttest_ind(inside, outside, equal_var=False, alternative="greater").pvalue)
        if p_value < SIGNIFICANCE / len(rows):
            shown.append(PictureAtRisk(row, float(np.exp(inside).mean()), float(np.exp(outside).mean())))
    return sorted(shown, key=lambda picture: picture.not_trained - picture.trained)
