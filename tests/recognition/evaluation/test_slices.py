"""Failing slices are found where they exist, and chance is not reported."""

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.recognition.evaluation.slices import find_failing_slices


def pictures(n: int, seed: int = 0, groups=None) -> Images:
    draw = np.random.default_rng(seed)
    level = draw.integers(40, 216, (n, 1, 1, 1))
    pixels = np.clip(level + draw.integers(-40, 40, (n, 12, 12, 3)), 0, 255).astype(np.uint8)
    return Images.from_arrays(pixels, groups=groups)


def brightness(images: Images) -> np.ndarray:
    return images.pixels(12).float().mean((1, 2, 3)).numpy()


def test_a_lower_accuracy_on_dark_pictures_is_found():
    images = pictures(800)
    dark = brightness(images) < np.quantile(brightness(images), 0.25)
    correct = np.random.default_rng(1).random(800) < np.where(dark, 0.6, 0.95)
    report = find_failing_slices(images, correct, 12)
    assert report.findings[0].startswith("Accuracy is lower on the darkest pictures (brightness 0.")
    assert " elsewhere (a difference of " in report.findings[0]
    table = report.tables["Accuracy by image property"]
    rows = [row for row in table.rows if row[0] == "brightness"]
    assert sum(row[2] for row in rows) == 800
    assert len(rows) == 4
    assert rows[0][3].value < rows[1][3].low
    assert not any(row[0] == "resolution" for row in table.rows)  # all the same: there is nothing to compare


def test_a_group_with_a_lower_accuracy_is_found():
    camera = np.array(["phone", "studio"])[np.random.default_rng(2).integers(0, 2, 600)]
    images = pictures(600, groups={"camera": camera, "file": np.arange(600)})
    correct = np.random.default_rng(3).random(600) < np.where(camera == "phone", 0.7, 0.95)
    report = find_failing_slices(images, correct, 12)
    assert any(
        finding.startswith("Accuracy is lower on pictures whose camera is phone: ") for finding in report.findings
    )
    assert [row[:2] for row in report.tables["Accuracy by metadata group"].rows] == [
        ["camera", "phone"],
        ["camera", "studio"],
    ]


def test_chance_is_rarely_reported():
    images = pictures(400)
    reports_with_findings = sum(
        bool(find_failing_slices(images, np.random.default_rng(i).random(400) < 0.9, 12).findings) for i in range(60)
    )
    assert reports_with_findings <= 6  # 3 are expected at most


@pytest.mark.parametrize("n", [0, 1, 99])
def test_with_few_pictures_nothing_is_concluded(n):
    images = pictures(n) if n else pictures(1)[:0]
    report = find_failing_slices(images, np.zeros(n, bool), 12)
    assert not report.findings
    assert not report.tables


def test_a_slice_in_the_middle_is_described_by_its_range():
    images = pictures(800)
    light = brightness(images)
    low, high = np.quantile(light, [0.25, 0.5])
    correct = np.random.default_rng(4).random(800) < np.where((light > low) & (light <= high), 0.6, 0.95)
    report = find_failing_slices(images, correct, 12)
    assert report.findings[0].startswith("Accuracy is lower on pictures with brightness 0.")
