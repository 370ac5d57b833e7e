import numpy as np
import torch

from diptych.synthesis.priors import GaussianMixture, stratified_rows

GROUP = 16
CLUSTER = 13 * GROUP


def _points() -> tuple[torch.Tensor, np.ndarray]:
    """Class 0 in two clusters at ±4, class 1 in one at 10, in two dimensions."""
    labels = np.repeat([0, 1], 2 * CLUSTER)
    noise = torch.randn(4 * CLUSTER, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    centres = torch.where(torch.arange(4 * CLUSTER) % 2 == 0, 4.0, -4.0)
    centres[2 * CLUSTER :] = 10.0
    return noise + centres[:, None], labels


def _noise(n: int, latent: int = 2) -> torch.Tensor:
    return torch.randn(n, 1 + GROUP + latent, generator=torch.Generator().manual_seed(1))


def test_samples_fall_where_the_class_is():
    points, labels = _points()
    mixture = GaussianMixture(classes=2, components=26, latent=2, group=GROUP)
    mixture.fit(points, torch.full_like(points, 0.01), labels, seed=0)
    first = mixture(_noise(600), torch.zeros(600, dtype=torch.int64))
    second = mixture(_noise(600), torch.ones(600, dtype=torch.int64))
    assert (first.abs() - 4).abs().max() < 2
    assert 0.4 < (first[:, 0] > 0).float().mean() < 0.6
    torch.testing.assert_close(second.mean(0), torch.tensor([10.0, 10.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(mixture.centres(), torch.tensor([[0.0, 0.0], [10.0, 10.0]]), atol=0.1, rtol=0)


def test_the_posteriors_noise_is_drawn_too():
    points, labels = _points()
    mixture = GaussianMixture(classes=2, components=26, latent=2, group=GROUP)
    mixture.fit(points, torch.tensor([1e-4, 4.0]).expand_as(points), labels, seed=0)
    samples = mixture(_noise(3000), torch.ones(3000, dtype=torch.int64))
    assert samples[:, 0].std() < 0.4
    assert 1.8 < samples[:, 1].std() < 2.2


def test_a_class_of_one_picture_borrows_its_spread_from_the_others():
    points, labels = _points()
    points, labels = points[: 2 * CLUSTER + 1], labels[: 2 * CLUSTER + 1]
    mixture = GaussianMixture(classes=2, components=13, latent=2, group=GROUP)
    mixture.fit(points, torch.zeros_like(points), labels, seed=0)
    samples = mixture(_noise(300), torch.ones(300, dtype=torch.int64))
    assert samples.isfinite().all()
    assert samples.std(0).min() > 0.5


def test_a_class_without_training_pictures_is_normal():
    points, labels = _points()
    mixture = GaussianMixture(classes=3, components=13, latent=2, group=GROUP)
    mixture.fit(points, torch.zeros_like(points), labels, seed=0)
    samples = mixture(_noise(2000), torch.full((2000,), 2))
    torch.testing.assert_close(samples.mean(0), torch.zeros(2), atol=0.1, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.ones(2), atol=0.1, rtol=0)


def test_without_classes_there_is_one_row_of_the_same_mean_and_covariance():
    points, labels = _points()
    mixture = GaussianMixture(classes=0, components=52, latent=2, group=GROUP)
    mixture.fit(points, torch.zeros_like(points), np.full_like(labels, -1), seed=0)
    samples = mixture(_noise(5000), torch.full((5000,), -1))
    torch.testing.assert_close(samples.mean(0), points.mean(0), atol=0.4, rtol=0)
    torch.testing.assert_close(samples.T.cov(), points.T.cov(), atol=3.0, rtol=0)


def test_no_stored_vector_is_a_pictures_latents():
    points = torch.randn(20 * GROUP, 32, generator=torch.Generator().manual_seed(0))
    mixture = GaussianMixture(classes=0, components=20, latent=32, group=GROUP)
    mixture.fit(points, torch.zeros_like(points), np.full(len(points), -1), seed=0)
    means, spans = mixture.means[0, :, None], mixture.factors[0].transpose(1, 2) * GROUP**0.5
    stored = torch.cat([means, means + spans, means - spans], dim=1).flatten(0, 1)
    between = torch.cdist(points, points).fill_diagonal_(torch.inf).amin(1).median()
    assert torch.cdist(stored, points).min() > 0.1 * between  # without mixing it would be 0


def test_rare_classes_are_among_those_it_is_fitted_to():
    labels = np.where(np.arange(5000) < 3, 1, 0)
    rows = stratified_rows(labels, most=100, least=8, seed=0)
    assert (labels[rows] == 1).sum() == 3
    assert 100 <= len(rows) <= 103
    assert (np.diff(rows) > 0).all()
