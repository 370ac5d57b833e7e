import hashlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import diptych
from diptych.backbones import weights
from diptych.interplay import extractors


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
    extractor = extractors.choose_extractor(None, None, 48)
    assert extractor.name == "test_vit, pretrained"
    assert extractor.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    features = extractor.features(photographs)
    assert features.shape[0] == 6
    assert torch.equal(features, extractors.choose_extractor(None, None, 64).features(photographs))
    assert (
        extractors.choose_extractor(None, None, 32).name == "fixed random filters"
    )  # small pictures are not photographs


def test_auxiliary_pictures_that_cannot_be_trained_on_give_way_to_the_random_filters(
    photographs: diptych.Images,
) -> None:
    one_class = diptych.Images.from_arrays(
        photographs.pixels(8).permute(0, 2, 3, 1).numpy(), [0] * 6, classes=["a", "b"]
    )
    extractor = extractors.choose_extractor(None, one_class, 8)
    assert extractor.name == "fixed random filters"
    assert extractor.sha256 == extractors.choose_extractor(None, None, 8).sha256


def test_the_random_filters_are_always_the_same_and_detect_blur() -> None:
    pictures = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    one, other = extractors.RandomFilters()(pictures), extractors.RandomFilters()(pictures)
    assert torch.equal(one, other)
    assert one.shape == (6, 896)
    blurred = torch.nn.functional.avg_pool2d(pictures, 3, stride=1, padding=1)
    assert (extractors.RandomFilters()(blurred) - one).norm() > 0.3 * one.norm()
    assert extractors.RandomFilters()(pictures[:, :, :4, :4]).isfinite().all()
