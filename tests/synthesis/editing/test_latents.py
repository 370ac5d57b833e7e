import torch
from torch.nn import functional as F

from diptych.synthesis.editing.latents import (
    class_weights,
    interpolate_latents,
    invert,
    multiscale_error,
    orthonormal,
    principal_components,
)


def test_the_ends_are_exact_and_the_norm_is_interpolated_linearly():
    torch.manual_seed(0)
    a, b = torch.randn(3, 50), 2 * torch.randn(3, 50)
    for spherical in (True, False):
        between = interpolate_latents(a, b, torch.tensor([0.0, 0.3, 1.0]), spherical=spherical)
        assert torch.equal(between[:, 0], a)
        assert torch.equal(between[:, 2], b)
    lengths = interpolate_latents(a, b, torch.tensor([0.5]), spherical=True)[:, 0].norm(dim=1)
    torch.testing.assert_close(lengths, (a.norm(dim=1) + b.norm(dim=1)) / 2)


def test_the_arc_has_equal_angles():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    between = interpolate_latents(a, b, torch.linspace(0, 1, 4), spherical=True)[0]
    angles = torch.linspace(0, torch.pi / 2, 4)
    torch.testing.assert_close(between, torch.stack([angles.cos(), angles.sin()], dim=1), atol=1e-6, rtol=0)
    torch.testing.assert_close(interpolate_latents(a, a, torch.tensor([0.5]), spherical=True)[0], a)


def test_class_weights_of_labels():
    assert class_weights(torch.tensor([1, -1]), 2).tolist() == [[0, 1, 0], [0, 0, 1]]


def test_inversion_finds_the_latents_from_the_weighted_pixels_alone():
    torch.manual_seed(1)
    weights = torch.randn(4, 3 * 8 * 8)
    targets = F.normalize(torch.randn(2, 4), dim=1) * 2  # √4: on the sphere

    def decode(latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(0.3 * latents @ weights).reshape(-1, 3, 8, 8)

    pixel_weights = torch.ones(2, 1, 8, 8)
    pixel_weights[:, :, :, 4:] = 0
    spoilt = torch.where(pixel_weights > 0, decode(targets), torch.tensor(5.0))
    latents = invert(decode, spoilt, pixel_weights, torch.randn(3, 2, 4))
    torch.testing.assert_close(decode(latents), decode(targets), atol=0.05, rtol=0)


def test_with_a_prior_inversion_gives_the_posterior_mode():
    def decode(latents: torch.Tensor) -> torch.Tensor:
        return latents[:, :, None, None].expand(-1, 3, 8, 8)

    target, pixel_weights = torch.ones(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    start = torch.full((1, 1, 3), 3.0)
    latents = invert(decode, target, pixel_weights, start, sigma=0.5)
    torch.testing.assert_close(latents, torch.full((1, 3), 64 / 0.25 / (64 / 0.25 + 1)), atol=0.02, rtol=0)


def test_the_multiscale_error_of_a_constant_difference_is_its_square():
    pixel_weights = torch.ones(1, 1, 8, 8)
    pixel_weights[..., 4:] = 0
    error = multiscale_error(torch.full((1, 3, 8, 8), 0.5), torch.zeros(1, 3, 8, 8), pixel_weights)
    torch.testing.assert_close(error, torch.tensor([0.25]))


def test_principal_components_give_the_directions_of_largest_variance():
    torch.manual_seed(2)
    noise = torch.randn(400, 6)
    pictures = noise * torch.tensor([5.0, 1.0, 1.0, 9.0, 1.0, 1.0])
    directions = orthonormal(principal_components(pictures, 2) @ noise)
    torch.testing.assert_close(directions.abs(), torch.eye(6)[[3, 0]], atol=0.2, rtol=0)
    torch.testing.assert_close(directions @ directions.T, torch.eye(2), atol=1e-5, rtol=0)
