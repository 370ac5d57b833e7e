"""A small data set, a recognizer trained on it, and its exported file."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych import Images, Recognizer, export


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 120 noisy pictures of several sizes, in two classes that differ by colour."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(120):
        name = ("red", "green")[i % 2]
        (folder / name).mkdir(exist_ok=True)
        pixels = rng.integers(0, 120, (*rng.integers(20, 70, 2), 3)).astype(np.uint8)
        pixels[..., i % 2] += 60
        Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="session")
def model(pictures, tmp_path_factory):
    """The folder of a small recognizer."""
    folder = tmp_path_factory.mktemp("models") / "model"
    Recognizer("convnet", size=24, epochs=8).fit(Images.open(pictures), into=folder)
    return folder


@pytest.fixture(scope="session")
def file(model):
    """The model's exported file."""
    path = model.parent / "model.onnx"
    export(model, path)
    return path


@pytest.fixture(scope="session", params=["test_resnet", "test_vit"])
def pretrained(request, pictures, tmp_path_factory):
    """A recognizer of a third of the pictures with a convolutional network or a transformer of timm."""
    weights = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(request.param).state_dict(), weights)
    return Recognizer(f"timm:{request.param}@{weights}", size=64, epochs=1).fit(Images.open(pictures)[::3])
