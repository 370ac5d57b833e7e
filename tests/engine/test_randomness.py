import torch

from diptych.engine.randomness import seed_generators, step_seed


def test_each_step_and_seed_has_its_own_random_stream():
    seeds = {step_seed(seed, pictures) for seed in (0, 1) for pictures in (0, 16, 32)}
    assert len(seeds) == 6
    assert step_seed(0, 16) == step_seed(0, 16)


def test_the_same_seed_gives_the_same_numbers():
    with torch.random.fork_rng(devices=[]):
        seed_generators(7, torch.device("cpu"))
        first = torch.rand(3)
        seed_generators(7, torch.device("cpu"))
        assert torch.equal(torch.rand(3), first)
