import torch
from torch import nn

from diptych.engine.ema import EMA


def test_the_average_has_the_half_life_it_states():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = EMA([module], half_life=1000)
    nn.init.ones_(module.weight)
    for step in range(10):
        ema.update(100, seen_pictures=10**6 + 100 * step)
    ema.swap()
    torch.testing.assert_close(module.weight.item(), 0.5, rtol=1e-5, atol=0)
    ema.swap()
    assert module.weight.item() == 1


def test_early_weights_are_forgotten_in_a_short_run():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = EMA([module], half_life=10**9)
    nn.init.ones_(module.weight)
    for step in range(1, 200):
        ema.update(10, seen_pictures=10 * step)
    ema.swap()
    assert module.weight.item() > 0.99


def test_buffers_are_averaged_with_the_weights_and_counters_are_not():
    module = nn.BatchNorm1d(2)
    ema = EMA([module], half_life=100)
    module.running_mean.fill_(1.0)
    module.num_batches_tracked.fill_(7)
    ema.update(100, seen_pictures=10**6)
    ema.swap()
    torch.testing.assert_close(module.running_mean, torch.full((2,), 0.5))
    assert module.num_batches_tracked == 7


def test_without_a_half_life_the_latest_weights_are_the_result():
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    ema = EMA([module], half_life=None)
    ema.update(100, 100)
    ema.swap()
    assert torch.equal(module.weight, before)
    assert ema.state() == []


def test_it_follows_the_memory_format_of_the_weights():
    module = nn.Conv2d(4, 4, 3, bias=False)
    ema = EMA([module], half_life=1000)
    before = module.weight.detach().clone()
    module.to(memory_format=torch.channels_last)
    ema.align()
    [averaged] = ema.state()
    assert averaged.stride() == module.weight.stride()
    assert torch.equal(averaged, before)
