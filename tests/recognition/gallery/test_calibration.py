"""Thresholds keep their false-accept rates on things that the gallery never saw; adapters are kept where they help."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from diptych.recognition.gallery.adaptation import try_adapter
from diptych.recognition.gallery.calibration import calibrate
from diptych.recognition.gallery.labelled_vectors import LabelledVectors
from diptych.recognition.gallery.pairs import labelled_pairs

DIMENSIONS = 24


def clusters(labels: int, each: int, seed: int, nuisance: float = 0.0) -> LabelledVectors:
    """Vectors around a centre for each label; ``nuisance`` is how much all vary in six directions that say nothing."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.arange(labels).repeat_interleave(each)
    centres = torch.randn(labels, DIMENSIONS, generator=generator)
    centres[:, :6] = 0
    noise = 0.7 * torch.randn(labels * each, DIMENSIONS, generator=generator)
    noise[:, :6] *= 1 + nuisance
    names = tuple(map(str, range(labels)))
    return LabelledVectors(F.normalize(centres[numbers] + noise, dim=1), numbers, torch.arange(len(numbers)), names)


def of_label_half(pictures: LabelledVectors, half: int) -> LabelledVectors:
    return pictures[(pictures.labels % 2 == half).nonzero()[:, 0]]


@pytest.mark.parametrize("adapted", [False, True])
def test_thresholds_of_pairs_keep_their_rate_on_other_labels(adapted: bool) -> None:
    pictures = clusters(120, 12, seed=0, nuisance=3.0)
    known, others = of_label_half(pictures, 0), of_label_half(pictures, 1)
    adapter = try_adapter(known).adapter if adapted else None
    assert adapted == (adapter is not None)
    calibration = calibrate(known, len(known), adapter)
    threshold = calibration.pair_threshold(0.05)
    assert threshold is not None
    assert threshold.far == 0.05
    pairs = labelled_pairs(others if adapter is None else others.with_vectors(adapter(others.vectors)))
    far = float((pairs.impostor >= threshold.value).double().mean())
    assert 0.03 < far < 0.08


def test_labels_that_came_after_the_adapter_are_measured_with_it() -> None:
    pictures = clusters(120, 12, seed=6, nuisance=3.0)
    adapter = try_adapter(of_label_half(pictures, 0)).adapter
    assert adapter is not None
    adapter = replace(adapter, labels=tuple(str(number) for number in range(0, 120, 2)))
    later = of_label_half(pictures, 1)
    enrolled = later[later.labels % 4 == 1]
    others = later[later.labels % 4 == 3]
    threshold = calibrate(enrolled, len(enrolled), adapter).pair_threshold(0.05)
    assert threshold is not None
    pairs = labelled_pairs(others.with_vectors(adapter(others.vectors)))
    assert 0.03 < float((pairs.impostor >= threshold.value).double().mean()) < 0.08


def test_an_adapter_is_kept_where_variation_says_nothing_and_not_where_all_is_noise() -> None:
    trial = try_adapter(clusters(20, 12, seed=1, nuisance=3.0))
    assert trial.adapter is not None
    assert "is kept" in trial.sentence
    draw = torch.Generator().manual_seed(2)
    noise = F.normalize(torch.randn(200, DIMENSIONS, generator=draw), dim=1)
    labels = torch.arange(200) % 10
    series = torch.arange(200)
    trials = [
        try_adapter(LabelledVectors(noise, labels[torch.randperm(200, generator=draw)], series)) for _ in range(5)
    ]
    assert sum(trial.adapter is None for trial in trials) >= 1
    one_each = clusters(10, 1, seed=3)
    assert try_adapter(one_each).adapter is None


def test_shots_of_one_thing_are_not_measured_against_each_other() -> None:
    generator = torch.Generator().manual_seed(4)
    things = torch.randn(40, DIMENSIONS, generator=generator)  # four things of each of ten labels, unlike each other
    shots = F.normalize(
        things.repeat_interleave(5, 0) + 0.05 * torch.randn(200, DIMENSIONS, generator=generator), dim=1
    )
    labels, series = torch.arange(10).repeat_interleave(20), torch.arange(40).repeat_interleave(5)
    apart = calibrate(LabelledVectors(shots, labels, series), 200, None)
    joined = calibrate(LabelledVectors(shots, labels, torch.arange(200)), 200, None)
    assert joined.unknown[-1].tar > 0.9
    assert apart.unknown[-1].tar < 0.4


def test_with_one_label_nothing_is_measured() -> None:
    calibration = calibrate(clusters(1, 10, seed=5), 10, None)
    assert calibration.unknown_threshold(0.5) is None
    assert calibration.pair_threshold(0.5) is None
