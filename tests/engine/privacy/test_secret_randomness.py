"""Draws that follow from a secret and the step, and from nothing else."""

import numpy as np
import torch

from diptych.engine.privacy.secret_randomness import SecretRandomness, new_secret


def test_the_same_secret_gives_the_same_draws_and_another_one_others():
    secret = new_secret()
    one, same, other = SecretRandomness(secret), SecretRandomness(secret), SecretRandomness(new_secret())
    assert torch.equal(one.noise(3, 50), same.noise(3, 50))
    assert one.seed(3) == same.seed(3) != other.seed(3)
    assert not torch.equal(one.noise(3, 50), other.noise(3, 50))
    assert not torch.equal(one.noise(3, 50), one.noise(4, 50))


def test_each_picture_is_drawn_with_the_probability_whatever_the_others():
    randomness = SecretRandomness(new_secret())
    drawn = np.zeros((400, 300), bool)
    for step, row in enumerate(drawn):
        row[randomness.sampled(step, 300, 0.2)] = True
    assert abs(drawn.mean() - 0.2) < 0.006  # five standard deviations
    counts = drawn.sum(1)
    assert 0.7 < counts.var() / (300 * 0.2 * 0.8) < 1.4  # that of independent draws, not of a fixed number


def test_noise_is_standard_normal():
    noise = SecretRandomness(new_secret()).noise(0, 100_000)
    assert abs(float(noise.mean())) < 0.016
    assert abs(float(noise.std()) - 1) < 0.012
