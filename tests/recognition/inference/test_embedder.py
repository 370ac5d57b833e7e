import numpy as np
import pytest
import torch

from diptych import Images
from diptych.errors import UsageError
from diptych.recognition import networks
from diptych.recognition.inference.embedder import Embedder


def test_embeddings_have_unit_length_and_a_copy_has_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    pixels[4] = pixels[1]
    embedder = Embedder(networks.build("convnet", classes=3, size=8).eval(), 8, "a network")
    (embeddings,) = embedder.batches(Images.from_arrays(pixels))
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(5), atol=1e-5)
    assert torch.equal(embeddings[4], embeddings[1])


def test_the_digest_is_that_of_the_weights_before_the_head():
    network = networks.build("convnet", classes=3, size=8).eval()
    before = Embedder(network, 8, "a network").sha256
    network.head.weight.data += 1
    assert Embedder(network, 8, "a network").sha256 == before
    other = networks.build("convnet", classes=3, size=8).eval()
    assert Embedder(other, 8, "a network").sha256 != before


def test_a_backbone_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="timm has no backbone"):
        Embedder.from_backbone("timm:nothing_of_the_kind")
