"""Sections 7 to 12 of docs/mathematics.md, confidence, against direct loops and closed forms."""

import itertools
import math
from statistics import fmean

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from diptych.metrics.classification import balanced_accuracy, expected_calibration_error
from diptych.metrics.selective_prediction import area_under_risk_coverage, risk_coverage
from diptych.recognition.confidence import conformal
from diptych.recognition.confidence.ood import FamiliarityScale, familiarity_threshold, ood_scores
from diptych.recognition.confidence.temperature import fit_label_thresholds, fit_temperature
from diptych.recognition.inference.embeddings import EmbeddingIndex, rows_to_index
from diptych.recognition.inference.named_pictures import NamedPictures
from diptych.recognition.inference.outputs import Outputs, spectral_slopes
from diptych.recognition.training import imbalance
from diptych.recognition.training.transfer import logistic_regression


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("margin", "correct"), [(2.0, 70), (9.0, 90), (3.0, 100)])
def test_the_temperature_of_two_classes_in_closed_form(margin: float, correct: int) -> None:
    logits = torch.tensor([[margin, 0.0]]).expand(100, 2)
    targets = (torch.arange(100) >= correct).long()
    smoothing = 1 / 102
    share = (1 - smoothing) * correct / 100 + smoothing / 2
    expected = margin / math.log(share / (1 - share))
    assert fit_temperature(logits, targets) == pytest.approx(expected, rel=1e-4)
    one_label = fit_temperature(logits[:, :1], targets[:, None] == 0)  # a sigmoid gives the same
    assert one_label == pytest.approx(expected, rel=1e-4)


def test_no_other_temperature_fits_better() -> None:
    logits = 4 * torch.randn(40, 5)
    targets = torch.multinomial((logits / 3).softmax(1), 1).flatten()
    smoothing = 1 / 42

    def loss(t: float) -> float:
        total = 0.0
        for z, y in zip(logits.tolist(), targets.tolist(), strict=True):
            normaliser = math.log(sum(math.exp(a / t) for a in z))
            total += sum(((1 - smoothing) * (k == y) + smoothing / 5) * (normaliser - a / t) for k, a in enumerate(z))
        return total / 40

    best = fit_temperature(logits, targets)
    assert all(loss(best) <= loss(best * factor) for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2.0))


def test_the_calibration_error_bin_by_bin() -> None:
    confidence, correct = torch.rand(500).double(), torch.rand(500) < 0.6
    confidence[:3] = torch.tensor([0.0, 0.2, 1.0])  # ends of bins: each belongs to the bin below, 0 to the first
    total = 0.0
    for b in range(15):
        inside = [i for i, c in enumerate(confidence.tolist()) if b / 15 < c <= (b + 1) / 15 or (c == 0 and b == 0)]
        if inside:
            gap = fmean(float(correct[i]) for i in inside) - fmean(float(confidence[i]) for i in inside)
            total += len(inside) / 500 * abs(gap)
    assert expected_calibration_error(confidence, correct) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("n", [9, 37, 100])
def test_of_n_plus_one_pictures_exactly_k_are_covered_by_the_others(n: int) -> None:
    probabilities = np.random.default_rng(n).random(n + 1)  # of the true label
    k = math.ceil(0.9 * (n + 1))
    covered = 0
    for i in range(n + 1):
        others = np.delete(probabilities, i)
        cutoff = conformal.prediction_set_cutoff(np.stack([others, 1 - others], 1), np.zeros(n, np.int64))
        assert cutoff == sorted(others)[n + 1 - k - 1]  # the (n + 1 - k)-th, counted from 1
        covered += probabilities[i] >= cutoff
    assert covered == k
    eight = np.full((8, 2), 0.5)
    assert conformal.prediction_set_cutoff(eight, np.zeros(8, np.int64)) == 0  # under 9 pictures every set is full


def test_coverage_over_draws_follows_the_beta_distribution() -> None:
    n, draws = 60, 4000
    scores, first = np.random.default_rng(0).random((draws, n)), np.zeros(n, np.int64)
    # With uniform probabilities of the true label a cutoff covers exactly 1 - cutoff of further pictures.
    coverage = np.array([1 - conformal.prediction_set_cutoff(row[:, None], first) for row in scores])
    k = math.ceil(0.9 * (n + 1))
    assert stats.kstest(coverage, stats.beta(k, n + 1 - k).cdf).pvalue > 0.01
    low, high = conformal.coverage_range(n)
    assert ((coverage > low) & (coverage < high)).mean() == pytest.approx(0.95, abs=0.015)
    assert [low, high] == pytest.approx(stats.beta(k, n + 1 - k).ppf([0.025, 0.975]))


def test_risk_control_takes_the_highest_cutoff_that_is_safe() -> None:
    draw = np.random.default_rng(1)
    probabilities = draw.random((50, 4))
    targets = draw.random((50, 4)) < 0.4
    targets[0] = False  # without labels to miss
    labelled = [(p, y) for p, y in zip(probabilities.tolist(), targets.tolist(), strict=True) if any(y)]
    n = len(labelled)

    def risk(cutoff: float) -> float:
        return fmean(sum(a < cutoff for a, has in zip(p, y, strict=True) if has) / sum(y) for p, y in labelled)

    safe = [c for c in sorted({*probabilities.ravel().tolist(), 1.0}) if (n * risk(c) + 1) / (n + 1) <= 0.1 + 1e-12]
    assert conformal.multi_label_cutoff(probabilities, targets) == pytest.approx(max(safe))
    assert 0 < max(safe) < 1


def posterior(probabilities: Tensor, targets: Tensor) -> tuple[list[float], list[float], list[float]]:
    """Probabilities in descending order, the posterior of each, and F1 of predicting the first 1, 2, …"""
    pairs = sorted(zip(probabilities.double().tolist(), targets.tolist(), strict=True), reverse=True)
    n = sum(h for _, h in pairs)
    b = [(n * h + 10 * p) / (n + 10) for p, h in pairs]
    f1 = [2 * sum(b[:m]) / (m + sum(b)) for m in range(1, len(b) + 1)]
    return [p for p, _ in pairs], b, f1


def test_label_thresholds_by_trying_every_one() -> None:
    probabilities = torch.rand(60, 6)
    targets = torch.rand(60, 6) < probabilities ** torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0, 6.0])
    thresholds = fit_label_thresholds(probabilities, targets)
    for k in range(6):
        p, _, f1 = posterior(probabilities[:, k], targets[:, k])
        best = f1.index(max(f1))
        last, following = p[best], [*p, 0.0][best + 1]
        between = 0.5 if following < 0.5 <= last else (last + following) / 2
        assert float(thresholds[k]) == pytest.approx(min(0.9, max(0.1, between)), rel=1e-6)


def test_a_label_is_predicted_from_half_of_the_best_f1_on() -> None:
    probabilities = torch.rand(1000) ** 3
    targets = torch.zeros(1000, dtype=torch.bool)
    targets[probabilities.argmax()] = True  # so that the posterior descends with the probability
    p, b, f1 = posterior(probabilities, targets)
    half = max(f1) / 2
    predicted = [q >= float(fit_label_thresholds(probabilities[:, None], targets[:, None])) for q in p]
    assert 0 < sum(predicted) < 1000
    assert predicted == [value >= half for value in b]


def test_risk_is_the_mean_over_the_orders_of_equally_confident_predictions() -> None:
    confidence, wrong = torch.tensor([0.9, 0.7, 0.7, 0.7, 0.4, 0.4]), [0, 1, 0, 0, 1, 0]
    orders = [
        order
        for order in itertools.permutations(range(6))
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order))
    ]
    assert len(orders) == math.factorial(3) * math.factorial(2)
    expected = [fmean(sum(wrong[j] for j in o[:i]) / i for o in orders) for i in range(1, 7)]
    coverage, risk = risk_coverage(confidence, torch.tensor(wrong) == 0)
    assert coverage.tolist() == pytest.approx([i / 6 for i in range(1, 7)])
    assert risk.tolist() == pytest.approx(expected)
    assert area_under_risk_coverage(confidence, torch.tensor(wrong) == 0) == pytest.approx(fmean(expected))


def test_the_area_under_risk_of_a_perfect_and_of_a_constant_confidence() -> None:
    correct = torch.arange(10_000) >= 2000  # a fifth is wrong
    perfect = area_under_risk_coverage(torch.arange(10_000), correct)
    assert perfect == pytest.approx(0.2 + 0.8 * math.log(0.8), abs=1e-3)
    assert area_under_risk_coverage(torch.full((10_000,), 0.5), correct) == pytest.approx(0.2)


def test_the_three_ood_scores_picture_by_picture() -> None:
    trained, slopes = torch.randn(30, 4), torch.randn(30, 3)
    pictures = NamedPictures(tuple(map(str, range(30))), np.arange(30, dtype=np.uint64), "")
    index = EmbeddingIndex.of(trained, slopes, np.zeros(30, np.int64), pictures)
    outputs = Outputs(torch.randn(5, 3), torch.randn(5, 4), torch.randn(5, 3))
    scores = ood_scores(outputs, index)
    mean = [fmean(column) for column in slopes.T.tolist()]
    covariance = np.cov(slopes.double().numpy().T, bias=True) + 1e-3 * np.eye(3)
    for i in range(5):
        z, f = outputs.logits[i].double().tolist(), outputs.features[i].double().numpy()
        assert float(scores[i, 0]) == pytest.approx(max(z), rel=1e-5)
        norm = math.sqrt(float(f @ f))
        cosines = [float(f @ t) / norm / math.sqrt(float(t @ t)) for t in trained.double().numpy()]
        assert float(scores[i, 1]) == pytest.approx(max(cosines), abs=3e-3)  # stored in 16 bits
        centred = outputs.slopes[i].double().numpy() - mean
        squared = float(centred @ np.linalg.solve(covariance, centred))
        assert float(scores[i, 2]) == pytest.approx(-(squared ** (1 / 3)), rel=1e-4)


def test_slopes_of_detail_pixel_by_pixel() -> None:
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    logs = []
    for scale in (1, 2, 4, 8):
        side = 16 // scale
        grey = [
            [
                fmean(
                    float(picture[0, c, scale * i + u, scale * j + v])
                    for c, u, v in itertools.product(range(3), range(scale), range(scale))
                )
                for j in range(side)
            ]
            for i in range(side)
        ]
        across = fmean((grey[i][j + 1] - grey[i][j]) ** 2 for i in range(side) for j in range(side - 1))
        down = fmean((grey[i + 1][j] - grey[i][j]) ** 2 for i in range(side - 1) for j in range(side))
        logs.append(math.log(across + down + 1e-4))
    expected = [b - a for a, b in itertools.pairwise(logs)]
    assert spectral_slopes(picture)[0].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n", [30, 400])
def test_familiarity_adds_up_the_logarithms_of_student_s_t(n: int) -> None:
    known = torch.randn(n, 3).double() * torch.tensor([1.0, 5.0, 0.2]) + torch.tensor([3.0, 0.0, -1.0])
    further = torch.tensor([[3.0, 0.0, -1.0], [1.0, -8.0, -1.1], [4.0, 9.0, -0.5]])
    expected = []
    for row in further.tolist():
        total = 0.0
        for j, value in enumerate(row):
            column = known[:, j].tolist()
            mean = fmean(column)
            deviation = math.sqrt(sum((x - mean) ** 2 for x in column) / (n - 1))
            total += stats.t(n - 1).logcdf((value - mean) / deviation / math.sqrt(1 + 1 / n))
        expected.append(total)
    assert FamiliarityScale.of(known).familiarity(further).tolist() == pytest.approx(expected, rel=2e-3)


def test_of_independent_scores_familiarity_is_chi_squared() -> None:
    known, further = torch.randn(20_000, 3), torch.randn(2000, 3)
    combined = -2 * FamiliarityScale.of(known).familiarity(further)
    assert stats.kstest(combined.numpy(), stats.chi2(6).cdf).pvalue > 0.01


def test_of_n_plus_one_known_pictures_exactly_k_are_flagged_unknown() -> None:
    n = 149
    familiarity = torch.randn(n + 1)
    flagged = sum(
        float(familiarity[i]) < familiarity_threshold(familiarity[torch.arange(n + 1) != i])  # set on the others
        for i in range(n + 1)
    )
    assert flagged == int(0.05 * (n + 1)) == 7


def test_balanced_accuracy_is_the_mean_of_the_recalls() -> None:
    targets, predicted = torch.tensor([0, 0, 0, 0, 1, 1, 3]), torch.tensor([0, 0, 0, 2, 1, 0, 3])
    assert balanced_accuracy(targets, predicted, 4) == pytest.approx(fmean([3 / 4, 1 / 2, 1]))  # class 2 does not occur


def bayes_logits(n: int, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Logits log(share) + log p(x | k) of three overlapping Gaussians, and the true classes."""
    targets = torch.multinomial(shares, n, replacement=True)
    x = torch.randn(n) + 1.5 * targets
    return -((x[:, None] - 1.5 * torch.arange(3)) ** 2) / 2 + shares.log(), targets


def test_the_strength_of_the_adjustment_by_trying_every_one() -> None:
    shares = torch.tensor([0.7, 0.2, 0.1])
    logits, targets = bayes_logits(300, shares)
    strengths = [step * 0.05 for step in range(41)]
    recalls = []
    for strength in strengths:
        predicted = [
            max(range(3), key=lambda k: z[k] - strength * math.log(shares[k])) for z in logits.double().tolist()
        ]
        hits = [sum(p == y == k for p, y in zip(predicted, targets.tolist(), strict=True)) for k in range(3)]
        recalls.append([(hits[k], int((targets == k).sum())) for k in range(3)])
    scores = [fmean(h / n for h, n in row) for row in recalls]
    best = scores.index(max(scores))
    smoothed = [((h + 1) / (n + 2), n) for h, n in recalls[best]]
    error = math.sqrt(sum(rho * (1 - rho) / n for rho, n in smoothed)) / 3
    low = high = best
    while low > 0 and scores[low - 1] >= scores[best] - error:
        low -= 1
    while high < 40 and scores[high + 1] >= scores[best] - error:
        high += 1
    assert imbalance.logit_adjustment_strength(logits, targets, shares) == pytest.approx(strengths[(low + high) // 2])


def test_the_adjustment_of_a_bayes_classifier_is_about_one() -> None:
    shares = torch.tensor([0.9, 0.08, 0.02])
    logits, targets = bayes_logits(100_000, shares)
    assert imbalance.logit_adjustment_strength(logits, targets, shares) == pytest.approx(1, abs=0.15)
    likeliest = (logits - shares.log()).argmax(1)  # by p(x | k) alone
    at_one = balanced_accuracy(targets, likeliest, 3)
    assert at_one > balanced_accuracy(targets, logits.argmax(1), 3) + 0.1
    assert imbalance.adjusted_balanced_accuracy(logits, targets, shares) == pytest.approx(at_one, abs=0.01)


def test_a_balanced_last_layer_predicts_each_class_equally_often() -> None:
    counts = torch.tensor([200, 30, 10])
    labels = torch.arange(3).repeat_interleave(counts)
    features = torch.randn(240, 4) + torch.eye(3, 4)[labels]
    training = logistic_regression.LabelledFeatures(features, labels)
    weights = (240 / (3 * counts[labels])).double()
    for balanced in (True, False):
        probabilities = (
            logistic_regression.LogisticRegression(training, 3, balanced=balanced)
            .search(training)[1]
            .logits(features)
            .double()
            .softmax(1)
        )
        mean = (weights[:, None] * probabilities).mean(0) if balanced else probabilities.mean(0)
        even = torch.full((3,), 1 / 3) if balanced else counts / 240
        torch.testing.assert_close(mean, even.double(), atol=2e-3, rtol=0)


def test_pictures_are_indexed_evenly_over_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [50, 4, 30])
    rows = rows_to_index(labels, 24)
    assert np.bincount(labels[rows]).tolist() == [10, 4, 10]  # what a class lacks is shared by the others
    assert rows.tolist() == sorted(set(rows.tolist()))
