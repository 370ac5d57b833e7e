"""The sample filter: real pictures pass, and what should not join them is dropped for the right reason."""

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych.errors import DataError
from diptych.interplay import sample_filter
from diptych.interplay.sample_filter import SampleFilter

Parts = tuple[diptych.Images, diptych.Images, diptych.Images]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Training pictures, held-out ones for the limits, and others."""
    training, validation, others = diptych.Images.open("digits").split(0.5, 0.25, 0.25, seed=0)
    return training, validation, others


@pytest.fixture(scope="module")
def fitted(parts: Parts) -> SampleFilter:
    return SampleFilter.fit(parts[0], parts[1], 8, seed=0)


def pixels(images: diptych.Images, size: int = 8) -> np.ndarray:
    return images.pixels(size).permute(0, 2, 3, 1).numpy()


def labelled(arrays: np.ndarray, like: diptych.Images) -> diptych.Images:
    return diptych.Images.from_arrays(arrays, like.labels, classes=like.classes, origins="synthetic")


def test_most_real_pictures_pass_and_the_reasons_of_the_others_add_up(parts: Parts, fitted: SampleFilter) -> None:
    filtered = fitted.apply(parts[2])
    assert filtered.kept.mean() > 0.75
    assert abs(filtered.kept.mean() - fitted.real_share) < 0.1
    assert sum(filtered.reasons.values()) == (~filtered.kept).sum()
    assert set(filtered.reasons) <= set(sample_filter.REASONS)


def test_pictures_of_another_class_are_dropped(parts: Parts, fitted: SampleFilter) -> None:
    others = parts[2]
    wrong = others.with_metadata(labels=(others.labels + 1) % 10)
    filtered = fitted.apply(wrong)
    assert filtered.kept.mean() < 0.02
    assert filtered.reasons[sample_filter.OTHER_CLASS] > 0.9 * len(wrong)


def test_copies_of_training_pictures_are_dropped_mirrored_or_not(parts: Parts, fitted: SampleFilter) -> None:
    for arrays in (pixels(parts[0]), pixels(parts[0])[:, :, ::-1]):
        assert fitted.apply(labelled(arrays, parts[0])).reasons[sample_filter.COPY] > 0.95 * len(parts[0])


def test_noise_and_mixtures_of_two_classes_are_dropped(parts: Parts, fitted: SampleFilter) -> None:
    others = parts[2]
    noise = np.random.default_rng(0).integers(0, 256, (len(others), 8, 8, 3)).astype(np.uint8)
    assert fitted.apply(labelled(noise, others)).kept.mean() < 0.02
    arrays = pixels(others)
    order = np.random.default_rng(1).permutation(len(others))
    mixtures = ((arrays.astype(int) + arrays[order]) // 2).astype(np.uint8)[others.labels != others.labels[order]]
    mixed = labelled(mixtures, others[others.labels != others.labels[order]])
    filtered = fitted.apply(mixed)
    assert filtered.kept.mean() < 0.25
    assert filtered.reasons[sample_filter.TOO_UNSURE] > 0


def test_the_limits_are_quantiles_of_held_out_real_pictures(parts: Parts, fitted: SampleFilter) -> None:
    measured, limits = fitted.validation, fitted.limits
    sure = measured.log_odds[measured.correct]
    assert float((sure < limits.unsure).float().mean()) == pytest.approx(sample_filter.UNSURE, abs=0.005)
    assert float((sure > limits.certain).float().mean()) == pytest.approx(sample_filter.CERTAIN, abs=0.005)
    similarity = sample_filter.nearest_similarity(measured.features, fitted.training.features)
    assert float((similarity < limits.similarity).float().mean()) == pytest.approx(sample_filter.ATYPICAL, abs=0.005)


def test_copies_of_held_out_pictures_are_dropped_too_which_the_synthesizer_may_have_been_trained_on(
    parts: Parts, fitted: SampleFilter
) -> None:
    copies = labelled(pixels(parts[1]), parts[1])
    assert fitted.apply(copies, fitted.measure(copies)).reasons[sample_filter.COPY] > 0.95 * len(copies)


def test_the_same_seed_drops_the_same_pictures(parts: Parts, fitted: SampleFilter) -> None:
    again = SampleFilter.fit(parts[0], parts[1], 8, seed=0)
    assert again.limits == fitted.limits
    assert np.array_equal(again.apply(parts[2]).reason, fitted.apply(parts[2]).reason)


def test_photographs_are_compared_by_a_pretrained_backbone() -> None:
    """From 32 px on, as these enlarged digits are, no network is trained."""
    digits = diptych.Images.open("digits")
    digits = digits[digits.labels < 3][:160]
    large = np.stack([np.asarray(Image.fromarray(array).resize((48, 48))) for array in pixels(digits)])
    training, validation, others = labelled(large, digits).split(0.5, 0.25, 0.25, seed=0)
    fitted = SampleFilter.fit(training, validation, 48)
    assert fitted.apply(others).kept.mean() > 0.7
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 48, 3)).astype(np.uint8)
    assert not fitted.apply(labelled(noise, others[:20])).kept.any()


def test_what_a_filter_cannot_be_fitted_to_is_refused(parts: Parts, fitted: SampleFilter) -> None:
    training, validation, others = parts
    with pytest.raises(DataError, match=r"there are 12; it needs 20 or more\. Add real pictures"):
        SampleFilter.fit(training, validation[:12], 8)
    with pytest.raises(DataError, match="needs one label a picture"):
        SampleFilter.fit(training.with_metadata(labels=np.eye(10, dtype=bool)[training.labels]), validation, 8)
    with pytest.raises(DataError, match="no labelled, readable real pictures"):
        SampleFilter.fit(training.with_metadata(labels=np.full(len(training), -1)), validation, 8)
    with pytest.raises(DataError, match=r"has no label among 0, 1, .* fit the synthesizer on pictures with the same"):
        fitted.apply(others.with_metadata(labels=np.full(len(others), -1)))
    shifted = validation.with_metadata(labels=(validation.labels + 1) % 10)
    with pytest.raises(DataError, match="so it cannot check generated ones"):
        SampleFilter.fit(training, shifted, 8)


def test_no_pictures_are_none_kept(parts: Parts, fitted: SampleFilter) -> None:
    assert len(fitted.apply(parts[2][:0]).kept) == 0
