import math

import pytest
import torch
from torch.nn import functional as F

from diptych.synthesis.gan import critic_loss, gradient_penalty, minimax_loss, non_saturating_loss, relativistic_loss


def test_losses_against_a_direct_loop():
    real, fake = torch.randn(7), torch.randn(7)
    d_real, d_fake = real.sigmoid().tolist(), fake.sigmoid().tolist()
    value = sum(math.log(d) for d in d_real) / 7 + sum(math.log(1 - d) for d in d_fake) / 7
    assert critic_loss(real, fake).item() == pytest.approx(-value, rel=1e-5)
    assert minimax_loss(fake).item() == pytest.approx(sum(math.log(1 - d) for d in d_fake) / 7, rel=1e-5)
    assert non_saturating_loss(fake).item() == pytest.approx(-sum(math.log(d) for d in d_fake) / 7, rel=1e-5)


def test_the_value_of_the_game_at_its_end_is_minus_log_four():
    undecided = torch.zeros(5)
    assert -critic_loss(undecided, undecided).item() == pytest.approx(-math.log(4))


def test_minimax_saturates_where_the_other_does_not():
    confident = torch.tensor([-12.0], requires_grad=True)
    (flat,) = torch.autograd.grad(minimax_loss(confident), confident)
    (steep,) = torch.autograd.grad(non_saturating_loss(confident), confident)
    assert abs(flat.item()) < 1e-4
    assert steep.item() == pytest.approx(-1, abs=1e-4)


def test_losses_stay_finite_at_extreme_logits():
    extreme = torch.tensor([-200.0, 200.0])
    for loss in (critic_loss(extreme, extreme), relativistic_loss(extreme, -extreme), minimax_loss(extreme)):
        assert loss.isfinite()


def test_the_penalty_of_a_linear_critic_is_the_squared_norm_of_its_weights():
    weights = torch.randn(3 * 4 * 4)
    pictures = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = gradient_penalty(F.linear(pictures.flatten(1), weights[None])[:, 0], pictures)
    torch.testing.assert_close(penalty, weights.square().sum())
