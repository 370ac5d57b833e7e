import math

import torch

from diptych.synthesis.sampling.ode import even_times, heun


def _error(steps: int) -> float:
    """Of dx/dt = x from 1, whose end is e."""
    x = heun(lambda x, t: x, torch.ones(1, dtype=torch.float64), even_times(steps).double())
    return abs(float(x) - math.e)


def test_heun_is_of_second_order():
    assert 3.5 < _error(10) / _error(20) < 4.5


def test_heun_is_exact_where_the_slope_is_linear_in_time():
    end = heun(lambda x, t: 2 * t * torch.ones_like(x), torch.zeros(3), even_times(3))
    torch.testing.assert_close(end, torch.ones(3))


def test_one_step_by_hand():
    # dx/dt = x from 1 in one step: slope 1, end 2, slope there 2, mean 1.5.
    assert float(heun(lambda x, t: x, torch.ones(1), even_times(1))) == 2.5


def test_backwards_returns_to_the_start():
    start = torch.randn(4)

    def field(x, t):
        return torch.sin(3 * t) * x

    end = heun(field, start, even_times(64))
    torch.testing.assert_close(heun(field, end, even_times(64, reverse=True)), start, atol=1e-3, rtol=0)
