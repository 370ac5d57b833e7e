"""An inspection of photographs by the built-in backbone's features."""

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.data.inspection.inspect import examine
from diptych.data.inspection.report import inspection_report
from diptych.recognition.inspection import inspect_features
from diptych.recognition.label_errors import backbone_for, find_label_errors

SIDE = 80


def striped(draw, upright: bool) -> np.ndarray:
    """A picture of coloured stripes."""
    stripes = draw.integers(0, 256, (1, 8, 3), np.uint8)
    picture = np.asarray(Image.fromarray(stripes).resize((SIDE, SIDE), Image.Resampling.NEAREST))
    noisy = np.clip(picture + draw.normal(0, 20, picture.shape), 0, 255).astype(np.uint8)
    return noisy if upright else np.ascontiguousarray(noisy.transpose(1, 0, 2))


@pytest.fixture(scope="module")
def photographs() -> Images:
    """Upright and level stripes, 24 of each; picture 3 has the other's label, and 30 is picture 32 shot again."""
    draw = np.random.default_rng(0)
    pixels = [striped(draw, upright=i < 24) for i in range(48)]
    brighter = np.clip(pixels[32] * 0.9 + 12 + draw.normal(0, 30, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    pixels[30] = np.roll(brighter, 7, axis=1)
    labels = (np.arange(48) >= 24).astype(np.int64)
    labels[3] = 1
    return Images.from_arrays(pixels, labels, classes=["upright", "level"])


def test_photographs_are_compared_by_the_best_backbone_here(photographs: Images) -> None:
    embedder = backbone_for(photographs)
    assert embedder is not None
    inspection = inspect_features(examine(photographs), embedder)
    [first, *_] = inspection.of_kind("label error")
    assert (first.row, first.suggested, first.action) == (3, "upright", "review")
    report = inspection_report(inspection)
    notes = " ".join(report.findings)
    assert f"{embedder.name} (weights {embedder.sha256[:12]})" in notes
    assert "linear discriminant analysis" in notes
    assert find_label_errors(photographs)[0].row == 3


def test_pictures_too_few_to_search_for_label_errors_are_inspected_all_the_same(photographs: Images) -> None:
    few = photographs[[0, 1, 30, 32]]
    embedder = backbone_for(few)
    assert embedder is not None
    inspection = inspect_features(examine(few), embedder)
    assert not inspection.of_kind("label error")
    assert any("Label errors were not searched for." in note for note in inspection.notes)


def test_small_pictures_have_no_backbone() -> None:
    assert backbone_for(Images.open("digits")[:20]) is None
