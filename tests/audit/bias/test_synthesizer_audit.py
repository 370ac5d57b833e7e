"""Synthesizers by class and by group: a class that is worse is named, in each of three ways, and equal ones are not."""

import numpy as np
import pytest

from diptych import audit
from diptych.audit.bias.groups import Grouping, groupings
from diptych.audit.bias.synthesis_scores import Reference, score_samples
from diptych.data.combine import with_groups
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.interplay.judge import choose_judge
from diptych.synthesis.vae import VAE
from tests.audit.planted import noise, shuffled_rows

DIGITS = Images.open("digits")
ROWS = shuffled_rows()
EACH = 59


def of_classes(classes: tuple[int, ...], part: int) -> list[Images]:
    """``EACH`` pictures of each class, others in each part."""
    rows = [ROWS[DIGITS.labels[ROWS] == k][part * EACH : (part + 1) * EACH] for k in classes]  # writers differ
    return [DIGITS[chosen].relabel(DIGITS.classes) for chosen in rows]


@pytest.fixture(scope="module")
def reference() -> Reference:
    real, training = (np.concatenate([part.paths for part in of_classes((0, 1, 2), k)]) for k in (0, 1))
    images = [DIGITS[np.flatnonzero(np.isin(DIGITS.paths, paths))] for paths in (real, training)]
    names = ("0", "1", "2")
    real_images, training_images = (part.relabel(names) for part in images)
    side = np.where(np.arange(len(real_images)) % 2, "left", "right")
    real_images = with_groups(real_images, side=side)
    judge = choose_judge(None, None, 8)
    classes = Grouping("class", names, real_images.labels.astype(np.int64))
    features = judge.features(real_images)
    return Reference(real_images, features, classes, groupings(real_images, None), training_images, judge)


def test_samples_that_are_as_good_for_every_class_are_no_finding(reference):
    scores = score_samples("", of_classes((0, 1, 2), 2), reference)
    assert scores.findings == []
    assert [group.name for group in scores.groups] == ["class 0", "class 1", "class 2", "side left", "side right"]
    assert all(group.coverage.value > 0.5 for group in scores.groups)
    assert scores.groups[3].distance is None


def test_a_class_of_noise_is_farther_and_covered_less(reference):
    good = of_classes((0, 1), 2)
    scores = score_samples("", [*good, Images.from_arrays(noise(EACH, 8, 0))], reference)
    assert any(finding.startswith("Class 2 is covered less") for finding in scores.findings)
    assert any(finding.startswith("Class 2 is farther from real pictures") for finding in scores.findings)
    assert not any(finding.startswith(("Class 0", "Class 1")) for finding in scores.findings)


def test_a_class_whose_samples_repeat_the_training_pictures_is_copied_more_often(reference):
    copied = reference.training[np.flatnonzero(reference.training.labels == 0)]
    scores = score_samples("", [copied, *of_classes((1, 2), 2)], reference)
    assert scores.groups[0].copies.value > 0.9
    assert any(finding.startswith("Class 0 is copied more often") for finding in scores.findings)


@pytest.fixture(scope="module")
def vae() -> tuple[VAE, Images]:
    digits = DIGITS[ROWS[np.isin(DIGITS.labels[ROWS], (0, 1))]].relabel(DIGITS.classes)
    digits = with_groups(digits, side=np.where(np.arange(len(digits)) % 2, "left", "right"))
    return VAE(size=8, epochs=1).fit(digits[:200].relabel(DIGITS.classes)), digits


def test_a_synthesizer_is_sampled_and_compared_class_by_class(vae):
    model, digits = vae
    report = audit.bias(model, digits[199:], groups=["side"], number=50)  # one that it was trained on among them
    assert report.verdict.word in ("fair", "worse_on_group")
    rows = {row[0]: row for row in report.tables["Samples by class"].rows}
    assert set(rows) == {"0", "1"}
    assert rows["0"][2].n == rows["0"][1]
    assert rows["0"][4] is None
    assert any("trained on 1 of the pictures" in finding for finding in report.findings)
    assert any("training pictures are not known" in finding for finding in report.findings)
    assert [row[0] for row in report.tables["Samples by side"].rows] == ["left", "right"]


def test_too_few_samples_are_refused(vae):
    with pytest.raises(UsageError, match="50 samples a class at least, not 20"):
        audit.bias(*vae, number=20)
