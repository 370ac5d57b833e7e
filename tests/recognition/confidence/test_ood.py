import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diptych.data.transforms import to_float
from diptych.recognition.confidence import ood
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs, spectral_slopes

TRAINED = torch.tensor([[5.0, 0.0], [0.0, 5.0]]).repeat(50, 1)


def with_noise(features, seed=0, std=0.5):
    return features + std * torch.randn(features.shape, generator=torch.Generator().manual_seed(seed))


def outputs_for(features, detail=-2.0):
    draw = torch.Generator().manual_seed(len(features))
    return Outputs(features, features, detail + 0.1 * torch.randn(len(features), 3, generator=draw))


@pytest.fixture(scope="module")
def index():
    outputs = outputs_for(with_noise(TRAINED))
    return EmbeddingIndex.of(outputs.features, outputs.slopes, np.arange(100) % 2, np.array(["x.png"] * 100))


@pytest.fixture(scope="module")
def scale(index):
    return ood.FamiliarityScale.of(ood.ood_scores(outputs_for(with_noise(TRAINED, seed=1)), index))


def flagged(scale, index, outputs):
    """(N,) bool: which pictures are flagged unknown."""
    return scale.familiarity(ood.ood_scores(outputs, index)) < scale.threshold


def test_the_response_is_the_largest_logit_and_serves_log_probabilities():
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, 0.4]])
    assert ood.response(logits).tolist() == [3.0, 0.5]
    unsure, sure = ood.response(torch.tensor([[0.0, 0.1], [0.0, 9.0]]).log_softmax(1)).tolist()
    assert sure > unsure


def test_known_pictures_are_rarely_flagged_unknown(scale, index):
    assert flagged(scale, index, outputs_for(with_noise(TRAINED, seed=2))).float().mean() <= 0.12


@pytest.mark.parametrize(
    ("features", "detail"),
    [
        (with_noise(TRAINED * 0.1), -2.0),  # the network detects little
        (with_noise(torch.tensor([[-3.5, -3.5]]).repeat(100, 1)), -2.0),  # unlike all that was learned
        (with_noise(TRAINED), 1.0),  # finer in detail than any
    ],
)
def test_each_score_alone_can_flag_a_picture(scale, index, features, detail):
    assert flagged(scale, index, outputs_for(features, detail)).float().mean() > 0.9


def test_pictures_that_cannot_be_read_have_no_familiarity(scale, index):
    readable = outputs_for(with_noise(TRAINED))
    parts = (readable.logits, readable.features, readable.slopes)
    outputs = Outputs(*(torch.cat((torch.full_like(part[:1], torch.nan), part)) for part in parts))
    familiarity = scale.familiarity(ood.ood_scores(outputs, index))
    assert familiarity.isnan().tolist() == [True] + [False] * 100


def test_one_in_twenty_falls_under_the_threshold():
    known = torch.randn(999, generator=torch.Generator().manual_seed(2))
    threshold = ood.familiarity_threshold(known)
    assert (known < threshold).sum() == 49  # the 50th of 1,000: on average 5 % of further ones are lower
    assert ood.threshold_rank(999) == 50


def test_with_few_pictures_the_threshold_lies_below_the_lowest():
    assert ood.threshold_rank(18) == 0
    assert -0.5 < ood.response_threshold(torch.linspace(0, 1, 10)) < 0
    assert ood.familiarity_threshold(torch.linspace(-2, -1, 10)) == pytest.approx(3 * np.log(0.05))
    assert ood.familiarity_threshold(torch.linspace(-20, -1, 10)) == -20


@pytest.mark.parametrize("n", [2, 5, 12, 40, 100])
def test_few_known_pictures_are_flagged_unknown_however_few_were_calibrated_on(n):
    """Scores that are correlated and skewed, as real ones are; the mean over 200 such calibrations."""
    draw, shares = torch.Generator().manual_seed(n), []
    for _ in range(200):
        shared = torch.randn(n + 200, 1, generator=draw)
        scores = torch.randn(n + 200, 3, generator=draw) + shared
        scores[:, 2] = -scores[:, 2].exp()
        scale = ood.FamiliarityScale.of(scores[:n])
        shares.append((scale.familiarity(scores[n:]) < scale.threshold).double().mean())
    assert torch.stack(shares).mean() < 0.09


def test_identical_pictures_give_a_finite_scale():
    scale = ood.FamiliarityScale.of(torch.ones(30, 3))
    assert np.isfinite([*scale.std, scale.threshold]).all()


def test_a_scale_is_stored_and_restored(scale):
    assert ood.FamiliarityScale.from_json(json.loads(json.dumps(scale.to_json()))) == scale


def test_slopes_distinguish_fine_from_coarse_and_not_bright_from_dark():
    fine = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    coarse = F.interpolate(fine[:, :, :8, :8].float(), size=32, mode="bilinear").byte()
    assert (spectral_slopes(to_float(coarse))[:, :2] > spectral_slopes(to_float(fine))[:, :2] + 2).all()
    assert torch.allclose(spectral_slopes(to_float(coarse) * 0.7 - 0.2), spectral_slopes(to_float(coarse)), atol=0.1)
    assert spectral_slopes(torch.zeros(2, 3, 8, 8)).shape == (2, 2)
    assert torch.equal(spectral_slopes(torch.zeros(2, 3, 33, 33)), torch.zeros(2, 3))
