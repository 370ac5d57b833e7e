"""Section 6 of docs/mathematics.md, flows, against direct loops and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from diptych.synthesis import consistency, flow, flow_matching
from diptych.synthesis.sampling.ode import even_times, heun
from diptych.synthesis.training.augmentation import crop_half
from diptych.synthesis.training.config import TrainingConfig


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_the_path_is_straight_and_its_velocity_constant() -> None:
    noise, pictures = torch.randn(2, 5, 3, 4, 4).double().unbind()
    velocity = flow_matching.target_velocity(noise, pictures)
    for t in (0.0, 0.3, 1.0):
        here = flow_matching.interpolate(noise, pictures, torch.full((5,), t, dtype=torch.float64))
        torch.testing.assert_close(here, noise + t * velocity)
        ahead = flow_matching.interpolate(noise, pictures, torch.full((5,), t + 1e-3, dtype=torch.float64))
        torch.testing.assert_close((ahead - here) / 1e-3, velocity)


def test_the_flow_matching_loss_by_a_loop() -> None:
    noise, pictures, times = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2), torch.tensor([0.2, 0.9])

    def velocity(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * x + t[:, None, None, None]

    total = 0.0
    for n, c, i, j in itertools.product(range(2), range(3), range(2), range(2)):
        x0, x1, t = noise[n, c, i, j].item(), pictures[n, c, i, j].item(), times[n].item()
        point = (1 - t) * x0 + t * x1
        total += (0.5 * point + t - (x1 - x0)) ** 2
    loss = flow_matching.flow_matching_loss(velocity, noise, pictures, times, torch.zeros(2, dtype=torch.int64))
    assert loss.item() == pytest.approx(total / 24, rel=1e-5)


MEAN, DEVIATION = 0.4, 0.5  # of Gaussian "pictures", for which the best velocity is known


def best_velocity(x: Tensor, t: Tensor) -> Tensor:
    """v* of section 6."""
    spread = (1 - t) ** 2 + t**2 * DEVIATION**2
    return MEAN + (t * DEVIATION**2 - (1 - t)) / spread * (x - t * MEAN)


def test_the_mean_velocity_has_the_least_loss() -> None:
    noise, times = torch.randn(50_000, 3, 1, 1), torch.rand(50_000)
    pictures = MEAN + DEVIATION * torch.randn_like(noise)

    def loss(scale: float, shift: float) -> float:
        def velocity(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
            return scale * best_velocity(x, t[:, None, None, None]) + shift

        return flow_matching.flow_matching_loss(velocity, noise, pictures, times, torch.zeros(50_000)).item()

    best = loss(1.0, 0.0)
    assert all(loss(*other) > best + 1e-3 for other in ((0.8, 0.0), (1.2, 0.0), (1.0, 0.1), (1.0, -0.1)))


class Constant(nn.Module):
    """A network that predicts one picture, whatever it is shown."""

    def __init__(self, pictures: Tensor) -> None:
        super().__init__()
        self.pictures = pictures

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return self.pictures


def test_the_expected_picture_gives_the_velocity() -> None:
    noise, pictures, labels = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), torch.zeros(5, dtype=torch.int64)
    velocity = flow_matching.predicted_velocity(Constant(pictures))
    for t in (0.0, 0.4, 0.95):
        times = torch.full((5,), t)
        predicted = velocity(flow_matching.interpolate(noise, pictures, times), times, labels)
        torch.testing.assert_close(predicted, pictures - noise, atol=1e-4, rtol=1e-4)
    nearly = velocity(pictures + 0.1, torch.ones(5), labels)  # an error of 0.1 at the very end
    torch.testing.assert_close(
        nearly, torch.full_like(nearly, -0.1 / flow_matching.MIN_REMAINING_TIME), atol=1e-4, rtol=1e-4
    )


def test_heun_carries_noise_to_a_gaussian_with_an_error_of_second_order() -> None:
    noise = torch.linspace(-2, 2, 9).double()
    exact = MEAN + DEVIATION * noise

    def error(steps: int) -> float:
        return (heun(best_velocity, noise, even_times(steps).double()) - exact).abs().max().item()

    assert error(64) < 1e-3
    assert 3.5 < error(32) / error(64) < 4.5
    back = heun(best_velocity, exact, even_times(64, reverse=True).double())
    torch.testing.assert_close(back, noise, atol=5e-3, rtol=0)


def test_guidance_goes_from_no_label_to_the_label_and_beyond() -> None:
    def velocity(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return x * t[:, None, None, None] + (10.0 * labels)[:, None, None, None]

    x, t, labels = torch.randn(3, 3, 2, 2), torch.tensor(0.5), torch.tensor([0, 1, 2])
    with_label = velocity(x, t.expand(3), labels)
    without = velocity(x, t.expand(3), torch.full((3,), -1))
    for strength in (0.0, 1.0, 2.5):
        expected = without + strength * (with_label - without)
        torch.testing.assert_close(flow_matching.guided_velocity(velocity, labels, strength)(x, t), expected)
    unlabelled = torch.full((3,), -1)
    torch.testing.assert_close(flow_matching.guided_velocity(velocity, unlabelled, 2.5)(x, t), without)
    field = flow_matching.guided_velocity(velocity, labels, 2.5)
    each = field(x, torch.tensor([0.1, 0.5, 0.9]))  # a time for each picture
    torch.testing.assert_close(each[1], field(x, t)[1])


class LabelRecorder(nn.Module):
    """A network that records the labels it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.labels = torch.empty(0)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.labels = labels
        return self.scale * x


def test_labels_are_dropped_for_each_picture_independently() -> None:
    network = LabelRecorder()
    task = flow.Flow()._task({"network": network}, TrainingConfig({}, batch=8, lr=1e-3))
    for _ in task.losses(torch.zeros(4000, 3, 2, 2), torch.arange(4000) % 10):
        dropped = network.labels < 0
        assert dropped.float().mean().item() == pytest.approx(flow.LABEL_DROPOUT, abs=0.02)
        assert torch.equal(network.labels[~dropped], (torch.arange(4000) % 10)[~dropped])


def test_a_trajectory_ends_in_the_predicted_picture_and_a_picture_in_itself() -> None:
    x, pictures, labels = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
    function = consistency.consistency_function(Constant(pictures))
    torch.testing.assert_close(function(x, torch.tensor([0.0, 0.9]), labels), pictures)
    assert torch.equal(function(x, torch.ones(2), labels), x)


def test_the_second_point_by_hand() -> None:
    for t in (0.0, 0.2, 0.6, 0.95):
        for a in (1.0, 3.0, 7.0):
            steep = 1 + 8 / (1 + math.exp((1 - t) / t)) if t else 1.0
            share = (1 - t) * max(0.0, 1 - steep / 2**a)
            assert consistency.later_times(torch.tensor([t]), a).item() == pytest.approx(1 - share, abs=1e-6)


def test_an_ode_step_is_by_heun_and_by_euler_at_the_end() -> None:
    x, times, later = torch.randn(3, 3, 2, 2), torch.tensor([0.0, 0.3, 0.6]), torch.tensor([0.5, 0.96, 1.0])
    moved = consistency.ode_step(lambda x, t: -x * (1 + t)[:, None, None, None], x, times, later)
    for n, (t, s) in enumerate(zip(times.tolist(), later.tolist(), strict=True)):
        euler = x[n] * (1 - (s - t) * (1 + t))
        heun = x[n] - (s - t) / 2 * (x[n] * (1 + t) + euler * (1 + s))
        torch.testing.assert_close(moved[n], heun if n == 0 else euler)


def test_the_consistency_loss_by_a_loop() -> None:
    noise, pictures, times = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2), torch.tensor([0.2, 0.7])

    def function(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return x * t[:, None, None, None] ** 2

    def field(x: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)

    total, later = 0.0, consistency.later_times(times, 4.0).tolist()
    for n, (t, s) in enumerate(zip(times.tolist(), later, strict=True)):
        points = ((1 - t) * noise[n] + t * pictures[n]).flatten().tolist()
        squares = [(x * t**2 - (x + 0.5 * (s - t)) * s**2) ** 2 for x in points]
        total += math.sqrt(sum(squares) / 12) / (s - t)
    labels = torch.zeros(2, dtype=torch.int64)
    loss = consistency.consistency_loss(function, field, noise, pictures, times, labels, 4.0)
    assert loss.item() == pytest.approx(total / 2)
    single = Constant(pictures)  # where there is one picture only, its trajectories end in it
    velocity = flow_matching.guided_velocity(flow_matching.predicted_velocity(single), labels, 1.0)
    exact = consistency.consistency_function(single)
    assert consistency.consistency_loss(exact, velocity, noise, pictures, times, labels, 4.0).item() < 1e-3


def test_a_second_call_begins_at_the_first_one_s_picture() -> None:
    noises = torch.randn(2, 4, 3, 2, 2).unbind()
    calls = []

    def function(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        calls.append((x, t))
        return x * 0.5

    labels = torch.zeros(4, dtype=torch.int64)
    assert torch.equal(consistency.few_step_sample(function, noises[:1], labels), noises[0] * 0.5)
    samples = consistency.few_step_sample(function, noises, labels)
    (_, _), (x, t), (then, after) = calls
    assert torch.equal(x, noises[0])
    assert t.tolist() == [0.0] * 4
    torch.testing.assert_close(then, 0.45 * noises[1] + 0.55 * (noises[0] * 0.5).clamp(-1, 1))
    assert after.tolist() == pytest.approx([0.55] * 4)
    assert torch.equal(samples, then * 0.5)


def test_half_a_batch_shows_the_crops_of_its_windows() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-1 + 1 / 16, 1 - 1 / 16, 16)  # each column's centre, from -1 to 1 across the picture
    pictures = ramp.expand(200, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    shown, windows = crop_half(pictures)
    assert shown.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(shown[100:], pictures[100:])
    assert (windows[100:] == torch.tensor([1.0, 1.0, 0.0, 0.0])).all()
    assert (windows[:100, 0] * windows[:100, 1] >= 0.499).all()
    assert (windows[:100, :2] < 1).any(dim=1).all()
    width, across = windows[:100, 0], windows[:100, 2]
    torch.testing.assert_close(shown[:100].mean(dim=(1, 2, 3)), across, atol=0.02, rtol=0)
    torch.testing.assert_close(shown[:100, 0, 0, 8] - shown[:100, 0, 0, 7], width / 8, atol=0.02, rtol=0)
