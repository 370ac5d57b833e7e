"""Where it fails: found when planted, and nothing is said of chance."""

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.recognition.evaluation.slices import find_failing_slices


def pictures(n: int, seed: int = 0, groups=None) -> Images:
    draw = np.random.default_rng(seed)
    light = draw.integers(40, 216, (n, 1, 1, 1))
    pixels = np.clip(light + draw.integers(-40, 40, (n, 12, 12, 3)), 0, 255).astype(np.uint8)
    return Images.from_arrays(pixels, groups=groups)


def brightness(images: Images) -> np.ndarray:
    return images.pixels(12).float().mean((1, 2, 3)).numpy()


def test_dark_pictures_that_fail_are_found():
    images = pictures(800)
    dark = brightness(images) < np.quantile(brightness(images), 0.25)
    right = np.random.default_rng(1).random(800) < np.where(dark, 0.6, 0.95)
    report = find_failing_slices(images, right, 12)
    assert report.findings[0].startswith("Where brightness is 0.")
    table = report.tables["By what the pictures are like"]
    rows = [row for row in table.rows if row[0] == "brightness"]
    assert sum(row[2] for row in rows) == 800
    assert len(rows) == 4
    assert rows[0][3].value < rows[1][3].low
    assert not any(row[0] == "pixels a side" for row in table.rows)  # all alike: there is nothing to compare


def test_a_group_that_fails_is_found():
    camera = np.array(["phone", "studio"])[np.random.default_rng(2).integers(0, 2, 600)]
    images = pictures(600, groups={"camera": camera, "file": np.arange(600)})
    right = np.random.default_rng(3).random(600) < np.where(camera == "phone", 0.7, 0.95)
    report = find_failing_slices(images, right, 12)
    assert any(finding.startswith("Where camera is phone it fails more: ") for finding in report.findings)
    assert [row[:2] for row in report.tables["By the groups of the metadata"].rows] == [
        ["camera", "phone"],
        ["camera", "studio"],
    ]


def test_chance_is_seldom_taken_for_a_finding():
    images = pictures(400)
    told = sum(
        bool(find_failing_slices(images, np.random.default_rng(i).random(400) < 0.9, 12).findings) for i in range(60)
    )
    assert told <= 6  # 3 are expected at most


@pytest.mark.parametrize("n", [0, 1, 99])
def test_of_few_pictures_nothing_is_concluded(n):
    images = pictures(n) if n else pictures(1)[:0]
    report = find_failing_slices(images, np.zeros(n, bool), 12)
    assert not report.findings
    assert not report.tables
