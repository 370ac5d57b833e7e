from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import diptych
from diptych.backbones import weights
from diptych.interplay import judge
from diptych.recognition.inference.embedder import Embedder


@pytest.fixture
def photographs() -> diptych.Images:
    return diptych.Images.from_arrays(np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3)).astype(np.uint8))


def test_local_pretrained_weights_give_features_of_photographs(
    photographs: diptych.Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    file = tmp_path / "test_vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), file)
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    chosen = judge.choose_judge(None, None, 48)
    assert "test_vit" in chosen.embedder.name
    assert chosen.weakness == ""
    features = chosen.features(photographs)
    assert features.shape[0] == 6
    assert torch.allclose(features.square().mean(1), torch.ones(6))
    assert torch.equal(features, judge.choose_judge(None, None, 64).features(photographs))


def test_the_built_in_backbone_judges_pictures_of_32_px_and_random_filters_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    monkeypatch.setattr("diptych.backbones.local.hub_cache_weights", list)
    built_in, weak = judge.choose_judge(None, None, 32), judge.choose_judge(None, None, 31)
    assert built_in.embedder.facts() == Embedder.from_backbone("lite0").facts()
    assert built_in.weakness == ""
    assert weak.embedder.name == weak.weakness == "fixed random filters"


def test_a_recognizer_that_hardly_knows_its_classes_is_a_weak_judge() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    noise = rng.integers(0, 60, (80, 8, 8, 3))
    bright = diptych.Images.from_arrays((noise + 190 * labels[:, None, None, None]).astype(np.uint8), labels)
    shuffled = diptych.Images.from_arrays(rng.integers(0, 256, (80, 8, 8, 3)).astype(np.uint8), labels)
    able, unable = (diptych.Recognizer("convnet", epochs=8, batch=16).fit(images) for images in (bright, shuffled))
    assert judge.choose_judge(able, None, 8).weakness == ""
    assert "accuracy of" in judge.choose_judge(unable, None, 8).weakness


def test_auxiliary_pictures_that_cannot_be_trained_on_give_way_to_the_random_filters(
    photographs: diptych.Images,
) -> None:
    one_class = diptych.Images.from_arrays(
        photographs.pixels(8).permute(0, 2, 3, 1).numpy(), [0] * 6, classes=["a", "b"]
    )
    chosen = judge.choose_judge(None, one_class, 8)
    assert chosen.embedder.name == "fixed random filters"
    assert chosen.embedder.sha256 == judge.choose_judge(None, None, 8).embedder.sha256


def test_the_random_filters_are_always_the_same_and_detect_blur() -> None:
    pictures = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    one, other = judge.RandomFilters()(pictures), judge.RandomFilters()(pictures)
    assert torch.equal(one, other)
    assert one.shape == (6, 896)
    blurred = torch.nn.functional.avg_pool2d(pictures, 3, stride=1, padding=1)
    assert (judge.RandomFilters()(blurred) - one).norm() > 0.3 * one.norm()
    assert judge.RandomFilters()(pictures[:, :, :4, :4]).isfinite().all()
