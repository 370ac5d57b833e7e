"""The judge of a run's samples: a pretrained backbone for photographs, patches for pictures that are none."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional as F

from diptych.backbones import builtin
from diptych.synthesis.training import quality
from diptych.synthesis.training.quality import AMONG_TRAINING, WEAKNESS, QualityEvaluator
from diptych.synthesis.verdict import samples_verdict

SIDE = 48


@pytest.fixture(scope="module")
def views():
    """(400, 3, 48, 48) uint8: parts of two photographs."""
    draw = np.random.default_rng(0)
    pictures = []
    for photograph in load_sample_images().images:
        pixels = torch.from_numpy(photograph.copy()).permute(2, 0, 1)
        for _ in range(200):
            top, left = (int(draw.integers(side - 2 * SIDE)) for side in pixels.shape[1:])
            part = pixels[None, :, top : top + 2 * SIDE, left : left + 2 * SIDE]
            pictures.append(F.avg_pool2d(part.float(), 2).byte())
    return torch.cat(pictures)[torch.from_numpy(draw.permutation(400))]


def smeared(pictures):
    return F.interpolate(F.avg_pool2d(pictures.float(), 12), SIDE, mode="bilinear").byte()


@pytest.mark.parametrize("held_out", [120, 12])
def test_smears_do_not_pass_for_photographs(views, held_out):
    judged = QualityEvaluator(views[:held_out], None, views[120:320])
    real, smears = (judged.evidence(samples) for samples in (views[320:], smeared(views[320:])))
    assert samples_verdict(real).word in ("close", "recognisable")
    assert samples_verdict(smears).word == "noise"
    assert real.weakness == ""
    assert list(real.caveats) == ([] if held_out == 120 else [AMONG_TRAINING])
    assert judged.distance(smeared(views[320:])) > 10 * max(judged.distance(views[320:]), 0.01)


def test_the_judge_is_named_with_the_digest_of_its_weights(monkeypatch):
    weights = builtin.builtin_weights(builtin.DEFAULT)
    assert quality.judge(64) == f"lite0 ({weights.sha256[:12]})"
    assert quality.judge(31) == "patches"
    monkeypatch.setattr(builtin, "is_installed", lambda name: False)
    assert quality.judge(64) == "patches"


def test_without_a_backbone_the_judge_is_weak(views, monkeypatch):
    monkeypatch.setattr(builtin, "is_installed", lambda name: False)
    judged = QualityEvaluator(views[:120], None, views[120:320])
    evidence = judged.evidence(views[320:])
    assert evidence.weakness == WEAKNESS
    assert "weak" in samples_verdict(evidence).reason


def test_too_few_pictures_get_no_verdict(views):
    assert QualityEvaluator(views[:2], None, views[2:8]).evidence(views[320:]) is None
