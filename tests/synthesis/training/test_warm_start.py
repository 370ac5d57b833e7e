"""Synthesizers that start from others: their layouts, embeddings, and what is refused."""

import numpy as np
import pytest
import torch

from diptych import GAN, VAE, Flow, Images
from diptych.errors import UsageError


def colours(names, n=60, size=12) -> Images:
    labels = np.arange(n) % len(names)
    pixels = np.random.default_rng(n).integers(0, 256, (n, size, size, 3)).astype(np.uint8)
    return Images.from_arrays(pixels, labels, classes=names)


@pytest.fixture(scope="module")
def flow():
    return Flow(epochs=1, batch=16, steps=2).fit(colours(("red", "green", "blue")))


def test_the_embeddings_of_common_classes_and_of_no_label_are_taken_over(flow):
    start = flow._as_start()
    networks = flow._build(start.layout_for({**flow.layout_, "classes": 2}, None))
    fresh = networks["network"].label.vectors.weight.clone()
    start.load_into({"network": networks["network"]}, ("blue", "violet"), 12)
    built, source = networks["network"].label.vectors.weight, flow.modules_["network"].label.vectors.weight.cpu()
    assert torch.equal(built[0], source[2])
    assert torch.equal(built[1], fresh[1])
    assert torch.equal(built[2], source[3])


def test_the_size_follows_the_other_model_and_a_network_that_can_have_another_may(flow):
    larger = colours(("red", "grey"), size=24)
    assert Flow(epochs=1, batch=16, steps=2).fit(larger, start=flow).size_ == 12
    assert Flow(epochs=1, batch=16, steps=2, size=16).fit(larger, start=flow).size_ == 16


def test_what_contradicts_the_other_model_is_refused():
    pictures = colours(("red", "green"))
    vae = VAE(epochs=1, batch=16, latent=8).fit(pictures)
    with pytest.raises(UsageError, match="latents of length 8, not 16"):
        VAE(epochs=1, latent=16).fit(pictures, start=vae)
    with pytest.raises(UsageError, match="Networks for 28 px cannot start from those for 12 px"):
        VAE(epochs=1, size=28).fit(colours(("red", "green"), size=28), start=vae)
    with pytest.raises(UsageError, match="has classes, and these pictures have none"):
        VAE(epochs=1).fit(colours(("red",)), start=vae)
    gan = GAN("dcgan-classic", epochs=1, batch=16).fit(pictures)
    with pytest.raises(UsageError, match="has the network dcgan-classic, not dcgan"):
        GAN(epochs=1).fit(pictures, start=gan)
    with pytest.raises(UsageError, match="A gan starts from the folder of another one"):
        GAN(epochs=1).fit(pictures, start=vae)
