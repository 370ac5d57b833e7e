import numpy as np

from diptych import VAE, Images
from diptych.synthesis.training.brief_sampler import BriefSampler
from diptych.synthesis.training.sample_grids import EvaluationSamples


def test_a_few_pictures_stand_for_all_and_tell_how_long_these_take():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
    model = VAE(latent=2, epochs=1, batch=8).fit(Images.from_arrays(pixels))
    samples, brief = EvaluationSamples.of([], 50), BriefSampler()
    taken = brief(model, samples, "")
    first = model.sample_pixels(range(16), samples.labels[:16])
    assert len(taken) == 50
    assert all((taken[i] == first[i % 16]).all() for i in range(50))
    assert brief.seconds > 0
    assert brief.missing_seconds(0) == 0
    all_seconds = brief.missing_seconds(10_000) + brief.seconds
    assert abs(all_seconds - 10_000 * brief.seconds_each) < 1e-6
    brief(model, samples, "")
    assert brief.calls == 2
