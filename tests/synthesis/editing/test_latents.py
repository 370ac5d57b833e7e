import torch
from torch.nn import functional as F

from diptych.synthesis.editing.latents import (
    class_weights,
    distance,
    interpolate_latents,
    invert,
    orthonormal,
    principal_components,
)


def test_the_ends_are_kept_to_the_bit_and_the_length_goes_over_evenly():
    torch.manual_seed(0)
    a, b = torch.randn(3, 50), 2 * torch.randn(3, 50)
    for spherical in (True, False):
        way = interpolate_latents(a, b, torch.tensor([0.0, 0.3, 1.0]), spherical=spherical)
        assert torch.equal(way[:, 0], a)
        assert torch.equal(way[:, 2], b)
    lengths = interpolate_latents(a, b, torch.tensor([0.5]), spherical=True)[:, 0].norm(dim=1)
    torch.testing.assert_close(lengths, (a.norm(dim=1) + b.norm(dim=1)) / 2)


def test_the_arc_turns_evenly():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    way = interpolate_latents(a, b, torch.linspace(0, 1, 4), spherical=True)[0]
    angles = torch.linspace(0, torch.pi / 2, 4)
    torch.testing.assert_close(way, torch.stack([angles.cos(), angles.sin()], dim=1), atol=1e-6, rtol=0)
    torch.testing.assert_close(interpolate_latents(a, a, torch.tensor([0.5]), spherical=True)[0], a)


def test_shares_of_labels():
    assert class_weights(torch.tensor([1, -1]), 2).tolist() == [[0, 1, 0], [0, 0, 1]]


def test_the_search_finds_the_latents_of_a_picture_where_it_is_seen():
    torch.manual_seed(1)
    weights = torch.randn(4, 3 * 8 * 8)
    truth = F.normalize(torch.randn(2, 4), dim=1) * 2  # √4: on the sphere

    def decode(latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(0.3 * latents @ weights).reshape(-1, 3, 8, 8)

    seen = torch.ones(2, 1, 8, 8)
    seen[:, :, :, 4:] = 0
    spoilt = torch.where(seen > 0, decode(truth), torch.tensor(5.0))
    found = invert(decode, spoilt, seen, torch.randn(3, 2, 4))
    torch.testing.assert_close(decode(found), decode(truth), atol=0.05, rtol=0)


def test_with_a_prior_the_search_keeps_near_it_where_little_is_seen():
    def decode(latents: torch.Tensor) -> torch.Tensor:
        return latents[:, :, None, None].expand(-1, 3, 8, 8)

    target, seen = torch.ones(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    start = torch.full((1, 1, 3), 3.0)
    near = invert(decode, target, seen, start, sigma=0.5)
    torch.testing.assert_close(near, torch.full((1, 3), 64 / 0.25 / (64 / 0.25 + 1)), atol=0.02, rtol=0)


def test_the_distance_is_the_mean_square_of_an_even_difference():
    seen = torch.ones(1, 1, 8, 8)
    seen[..., 4:] = 0
    difference = distance(torch.full((1, 3, 8, 8), 0.5), torch.zeros(1, 3, 8, 8), seen)
    torch.testing.assert_close(difference, torch.tensor([0.25]))


def test_principal_scores_and_directions():
    torch.manual_seed(2)
    noise = torch.randn(400, 6)
    pictures = noise * torch.tensor([5.0, 1.0, 1.0, 9.0, 1.0, 1.0])
    along = orthonormal(principal_components(pictures, 2) @ noise)
    torch.testing.assert_close(along.abs(), torch.eye(6)[[3, 0]], atol=0.2, rtol=0)
    torch.testing.assert_close(along @ along.T, torch.eye(2), atol=1e-5, rtol=0)
