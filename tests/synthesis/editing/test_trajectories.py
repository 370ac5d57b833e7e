import torch

from diptych.synthesis.editing.trajectories import inpaint_trajectory, integrate_forward, numbered_noise, partial_times


def test_a_field_towards_one_picture_fills_the_hole_with_it():
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 8, 8)
    hole = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    hole[..., 2:5] = True
    spoilt = torch.where(hole, torch.tensor(-1.0), picture)
    noise = numbered_noise([3, 4], (3, 8, 8), torch.device("cpu"))
    out = inpaint_trajectory(lambda x, t: (picture - x) / (1 - t), spoilt, hole, torch.linspace(0, 1, 5)[:-1], noise)
    torch.testing.assert_close(out, picture, atol=1e-5, rtol=0)


def test_integration_ends_in_the_expected_picture():
    picture = torch.rand(1, 3, 4, 4)
    out = integrate_forward(lambda x, t: (picture - x) / (1 - t), torch.randn(1, 3, 4, 4), partial_times(8, 0.5))
    torch.testing.assert_close(out, picture, atol=1e-5, rtol=0)


def test_partial_times_keep_the_step_size():
    torch.testing.assert_close(partial_times(8, 0.5), torch.tensor([0.5, 0.625, 0.75, 0.875, 1.0]))
    assert len(partial_times(8, 0.99)) == 3


def test_noise_depends_on_seed_and_number():
    device = torch.device("cpu")
    noise, other = numbered_noise([5, 6], (4,), device), numbered_noise([6], (4,), device)
    assert torch.equal(noise(2)[1], other(2)[0])
    assert not torch.equal(noise(1), noise(2))
