"""A flow tuned to few calls: what a person may rely on, on models of a few pictures and steps."""

import re

import numpy as np
import pytest
import torch

import diptych
from diptych.data.images import Images
from diptych.engine.loop import Run
from diptych.errors import DataError, Interrupted, UsageError
from diptych.synthesis import consistency_tuning, verdict
from diptych.synthesis.training import monitor

CLASSES = ("red", "green", "blue")


def _images(n: int, classes: tuple[str, ...] = CLASSES) -> Images:
    """Colours with noise."""
    labels = np.arange(n) % len(classes)
    pixels = np.random.default_rng(0).integers(0, 100, (n, 8, 8, 3), np.uint8)
    pixels[np.arange(n), :, :, labels % 3] += 120
    return Images.from_arrays(pixels, labels, classes=classes)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    return diptych.Flow(steps=3, epochs=8, batch=8).fit(_images(24), into=tmp_path_factory.mktemp("flow") / "model")


@pytest.fixture(scope="module")
def tuned(flow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "model"
    loaded = diptych.load(flow.save(tmp_path_factory.mktemp("flow") / "copy"))
    return loaded.tune(_images(24), epochs=4, into=folder), folder


def _array(images: Images) -> torch.Tensor:
    return images.pixels(8)


def test_it_samples_in_two_calls_or_one_and_the_flow_is_still_there(flow, tuned):
    fast, _ = tuned
    assert flow.calls == 2 * 5  # with the label and without
    assert [fast.calls, fast.with_steps(1).calls, fast.with_steps(3).calls] == [2, 1, 10]
    one, two = fast.sample(4, steps=1), fast.sample(4)
    assert not torch.equal(_array(one), _array(two))
    assert torch.equal(_array(fast.sample(4, steps=3)), _array(flow.sample(4)))
    assert torch.equal(fast.encode(_images(5)), flow.encode(_images(5)))
    assert fast.steps == 2  # sampling in another number of steps changes nothing


def test_another_guidance_is_for_sampling_only_and_not_for_a_tuned_flow(flow, tuned):
    fast, _ = tuned
    assert not torch.equal(_array(flow.sampled_with(guidance=1).sample(4)), _array(flow.sample(4)))
    assert flow.sampled_with(3).steps == 3
    assert flow.sampled_with() is flow
    assert flow.guidance != 1
    with pytest.raises(UsageError, match="guidance"):
        flow.sampled_with(guidance=-1)
    with pytest.raises(UsageError, match="fixed when it was tuned"):
        fast.sampled_with(guidance=3)


def test_samples_show_the_colour_of_their_label(tuned):
    for steps in (1, 2):
        for channel, name in enumerate(CLASSES):
            samples = _array(tuned[0].sample(6, label=name, steps=steps)).float().mean(dim=(2, 3))
            assert (samples.argmax(1) == channel).all()


def test_a_picture_is_the_same_alone_and_among_others(tuned):
    many = _array(tuned[0].sample(21, seed=3))
    assert torch.equal(_array(tuned[0].sample(1, seed=20))[0], many[17])


def test_the_artefact_says_that_it_is_tuned(tuned):
    fast, folder = tuned
    again = diptych.load(folder)
    assert again.calls == 2
    for steps in (1, 2, 4):
        assert torch.equal(_array(again.sample(3, steps=steps)), _array(fast.sample(3, steps=steps)))
    assert diptych.load(again.save(folder.with_name("again"))).calls == 2
    assert sorted((folder / "samples").iterdir())


def test_the_same_tuning_again_returns_at_once_and_a_killed_one_continues(flow, tuned, tmp_path, monkeypatch):
    _, folder = tuned
    before = (folder / "model.json").stat().st_mtime_ns
    base = flow.save(tmp_path / "base")
    assert diptych.load(base).tune(_images(24), epochs=4, into=folder).calls == 2
    assert (folder / "model.json").stat().st_mtime_ns == before

    check, steps = Run._check_clock_and_signals, []

    def stopped(run, signals):
        steps.append(run.seen_pictures)
        check(run, signals)
        if len(steps) == 5:
            run._save_checkpoint()
            raise Interrupted("Stopped.", 2)

    monkeypatch.setattr(Run, "_check_clock_and_signals", stopped)
    with pytest.raises(Interrupted):
        diptych.load(base).tune(_images(24), epochs=4, into=tmp_path / "tuned")
    monkeypatch.undo()
    diptych.load(base).tune(_images(24), epochs=4, into=tmp_path / "tuned")
    resumed, whole = ((f / "weights.safetensors").read_bytes() for f in (tmp_path / "tuned", folder))
    assert resumed == whole


def test_what_cannot_be_tuned_is_refused_with_the_cure(flow, tuned, tmp_path):
    with pytest.raises(UsageError, match="tuned already"):
        tuned[0].tune(_images(24), epochs=1)
    with pytest.raises(UsageError, match="not both"):
        flow.tune(_images(24), epochs=1, minutes=1)
    with pytest.raises(UsageError, match=r"0\.001 or more"):
        flow.tune(_images(24), epochs=0)
    with pytest.raises(DataError, match="unknown here: pink"):
        flow.tune(_images(24, ("red", "green", "pink")), epochs=1)
    occupied = flow.save(tmp_path / "occupied")
    with pytest.raises(UsageError, match="another run"):
        flow.tune(_images(24), epochs=1, into=occupied)
    assert flow.calls == 10  # a tuning that failed leaves the model as it was


def test_classes_are_matched_by_name(flow, tmp_path):
    reordered = _images(24).relabel(("blue", "red", "green"))
    fast = diptych.load(flow.save(tmp_path / "copy")).tune(reordered, epochs=4)
    assert fast.classes_ == CLASSES
    samples = _array(fast.sample(6, label="blue")).float().mean(dim=(2, 3))
    assert (samples.argmax(1) == 2).all()


def test_a_tuning_that_changes_nothing_is_no_better_and_says_so(flow, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "MIN_RUN_SECONDS", 0.0)  # evaluated however short
    monkeypatch.setattr(verdict, "MIN_TUNING_STEPS", 1)
    monkeypatch.setattr(consistency_tuning, "LEARNING_RATE_SHARE", 0.0)
    fast = diptych.load(flow.save(tmp_path / "copy")).tune(_images(24), epochs=1, validate=_images(12))
    assert fast.verdict_.word == "no_better"
    assert fast.verdict_.sentence == "No better than the flow without tuning."
    before, after = re.findall(r"\d+\.\d{3}", fast.verdict_.reason)
    assert before == after
    assert fast.verdict_.sentence in fast.report_.html()


def test_one_step_still_encodes_the_picture(flow):
    latents = flow.with_steps(1).encode(_images(3))
    assert not torch.allclose(latents[0], latents[1])


def test_dropout_for_few_pictures_is_off_in_tuning(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 20, 20, 3), np.uint8)
    flow = diptych.Flow(epochs=1, batch=8, steps=2).fit(Images.from_arrays(pixels, np.arange(12) % 2))
    assert flow.layout_["dropout"] > 0
    assert flow.tune(Images.from_arrays(pixels, np.arange(12) % 2), epochs=1).layout_["dropout"] == 0
