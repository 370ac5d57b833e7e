import numpy as np
import torch

from diptych.synthesis.mixture import Mixture


def _points() -> tuple[torch.Tensor, np.ndarray]:
    """Class 0 in two clusters at ±4, class 1 in one at 10, in two dimensions."""
    labels = np.repeat([0, 1], 200)
    coins = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    centres = torch.where(torch.arange(400) % 2 == 0, 4.0, -4.0)
    centres[200:] = 10.0
    return coins + centres[:, None], labels


def test_samples_fall_where_the_class_is():
    points, labels = _points()
    mixture = Mixture(classes=2, components=2, latent=2)
    mixture.fit(points, torch.full_like(points, 0.01), labels, seed=0)
    noise = torch.randn(600, 3, generator=torch.Generator().manual_seed(1))
    first = mixture(noise, torch.zeros(600, dtype=torch.int64))
    second = mixture(noise, torch.ones(600, dtype=torch.int64))
    assert (first.abs() - 4).abs().max() < 2
    assert 0.4 < (first[:, 0] > 0).float().mean() < 0.6
    torch.testing.assert_close(second.mean(0), torch.tensor([10.0, 10.0]), atol=0.1, rtol=0)


def test_a_class_of_one_picture_borrows_its_spread_from_the_others():
    points, labels = _points()
    points, labels = points[:201], labels[:201]
    mixture = Mixture(classes=2, components=1, latent=2)
    mixture.fit(points, torch.zeros_like(points), labels, seed=0)
    made = mixture(torch.randn(300, 3), torch.ones(300, dtype=torch.int64))
    assert made.isfinite().all()
    assert made.std(0).min() > 0.5


def test_without_classes_there_is_one_row():
    points, labels = _points()
    mixture = Mixture(classes=0, components=1, latent=2)
    mixture.fit(points, torch.zeros_like(points), np.full_like(labels, -1), seed=0)
    made = mixture(torch.randn(2000, 3), torch.full((2000,), -1))
    torch.testing.assert_close(made.mean(0), points.mean(0), atol=0.7, rtol=0)
