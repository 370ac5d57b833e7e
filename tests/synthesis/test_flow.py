import torch

from diptych.synthesis.flow_matching import (
    flow_matching_loss,
    guided_velocity,
    interpolate,
    noise_like,
    predicted_velocity,
    target_velocity,
    training_times,
)
from diptych.synthesis.sampling.ode import even_times, heun


def test_the_path_runs_from_noise_to_picture_at_the_velocity_regressed():
    noise, picture = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    assert torch.equal(interpolate(noise, picture, torch.zeros(2)), noise)
    assert torch.equal(interpolate(noise, picture, torch.ones(2)), picture)
    step = interpolate(noise, picture, torch.full((2,), 0.51)) - interpolate(noise, picture, torch.full((2,), 0.5))
    torch.testing.assert_close(step / 0.01, target_velocity(noise, picture), atol=1e-4, rtol=0)


def test_noise_is_that_of_the_seed_whatever_the_memory_format():
    drawn = []
    for order in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        drawn.append(noise_like(torch.zeros(2, 3, 8, 8).contiguous(memory_format=order)))
        assert drawn[-1].is_contiguous(memory_format=order)
    assert torch.equal(*drawn)
    assert 0.9 < drawn[0].std() < 1.1


def test_the_loss_against_a_direct_loop():
    noise, pictures, times = torch.randn(3, 3, 2, 2), torch.randn(3, 3, 2, 2), torch.tensor([0.1, 0.5, 0.9])
    total = 0.0
    for i in range(3):
        x = (1 - times[i]) * noise[i] + times[i] * pictures[i]
        total += sum((0.5 * a - (p - n)) ** 2 for a, p, n in zip(
            x.flatten().tolist(), pictures[i].flatten().tolist(), noise[i].flatten().tolist(), strict=True
        ))  # fmt: skip
    loss = flow_matching_loss(lambda x, t, y: 0.5 * x, noise, pictures, times, torch.zeros(3))
    torch.testing.assert_close(loss.item(), float(total) / noise.numel())


def test_the_true_velocity_of_a_single_picture_maps_noise_to_it():
    # All pictures are one: the expected velocity at (x, t) is (picture − x) / (1 − t).
    picture, noise = torch.randn(1, 3, 4, 4), torch.randn(2, 3, 4, 4)
    end = heun(lambda x, t: (picture - x) / (1 - t), noise, even_times(8) * 0.999)
    torch.testing.assert_close(end, picture.expand(2, -1, -1, -1), atol=0.02, rtol=0)


def test_a_network_that_predicts_the_picture_gives_the_velocity_of_the_path():
    picture, noise, times = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([0.0, 0.9])
    velocity = predicted_velocity(lambda x, t, y: picture)(interpolate(noise, picture, times), times, torch.zeros(2))
    torch.testing.assert_close(velocity, target_velocity(noise, picture), atol=1e-4, rtol=0)


def test_times_lie_nearer_to_noise_for_large_pictures():
    torch.manual_seed(0)
    small, large = (training_times(torch.randn(4000), size) for size in (8, 64))
    assert 0.48 < small.mean() < 0.52
    assert large.mean() < 0.4
    assert 0 < large.min() < large.max() < 1


def _velocity(x, t, labels):
    return x * 0 + labels[:, None, None, None]


def test_guidance_goes_on_from_the_field_without_a_label():
    x, labels = torch.zeros(2, 3, 4, 4), torch.tensor([0, 4])
    field = guided_velocity(_velocity, labels, 2.0)(x, torch.tensor(0.5))
    assert field[:, 0, 0, 0].tolist() == [1.0, 9.0]  # −1 + 2·(label − (−1))


def test_without_guidance_or_labels_the_field_is_the_model_s_own():
    x = torch.zeros(2, 3, 4, 4)
    for labels, guidance in ((torch.tensor([3, 4]), 1.0), (torch.tensor([-1, -1]), 7.0)):
        assert torch.equal(
            guided_velocity(_velocity, labels, guidance)(x, torch.tensor(0.0)), _velocity(x, None, labels)
        )
