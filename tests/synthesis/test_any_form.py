"""A synthesizer takes pictures in any form, and masks; its samples show themselves in a notebook."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import Images
from diptych.synthesis.vae import VAE

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def fitted() -> VAE:
    return VAE(epochs=1).fit(list(PIXELS), validate=PIXELS[:5] / 255)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS[0]).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_one_picture_in_any_form_has_the_same_latents(fitted: VAE, file: Path) -> None:
    tensor = torch.from_numpy(PIXELS[0]).permute(2, 0, 1)
    expected = fitted.encode(Images.from_arrays(PIXELS[:1]))
    for form in (file, str(file), [file], Image.open(file), PIXELS[0], tensor, tensor / 255):
        assert torch.equal(fitted.encode(form), expected)


def test_edits_take_any_form(fitted: VAE, file: Path) -> None:
    assert len(fitted.reconstruct(PIXELS[:3])) == 3
    assert len(fitted.interpolate(file, PIXELS[1], steps=3)) == 3
    assert fitted.traverse(file, directions=1, steps=3).groups["source"].tolist() == [str(file)] * 3
    assert fitted.bits_per_dimension(file).shape == (1,)
    mask = np.zeros((8, 8), bool)
    mask[:, 4:] = True
    as_picture = Image.fromarray(mask)
    by_form = [fitted.inpaint(file, form).pixels(8) for form in (mask, as_picture, torch.from_numpy(mask))]
    assert torch.equal(by_form[0], by_form[1])
    assert torch.equal(by_form[0], by_form[2])
    assert fitted.blend(PIXELS[0], file, mask=as_picture).origins.tolist() == ["composite"]


def test_a_notebook_shows_samples_and_the_model(fitted: VAE) -> None:
    samples = fitted.sample(14)
    assert "14 synthetic" in repr(samples)
    assert samples._repr_html_().count("<img ") == 12
    assert "bits per value" in fitted._repr_html_()
    assert "fitted" in VAE()._repr_html_()
