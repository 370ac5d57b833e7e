import pytest
import torch

from diptych.synthesis.networks.convvae import Decoder, Encoder
from diptych.synthesis.networks.dcgan import Critic, Generator
from diptych.synthesis.networks.dcgan_classic import ClassicCritic, ClassicGenerator
from diptych.synthesis.networks.unet import LARGE, SMALL, UNet

SIZES = range(8, 129, 4)
LABELS = torch.tensor([0, -1])


def _run(size: int, classes: int, patch: int) -> list[torch.Tensor]:
    """Outputs of the generator, the decoder and the U-Net at this size, each of a picture's shape."""
    vae = {"size": size, "classes": classes, "latent": 6, "width": 8, "patch": patch}
    generated = Generator(size=size, classes=classes, latent=6, width=4)(torch.randn(2, 6), LABELS)
    logits = Critic(size=size, classes=classes, width=4)(generated, LABELS)
    mean, log_variance = Encoder(**vae)(generated, LABELS)
    decoded = Decoder(**vae)(mean, LABELS)
    estimate = UNet(size=size, classes=classes, width=8, patch=patch)(generated, torch.rand(2), LABELS)
    assert logits.shape == (2,)
    assert mean.shape == log_variance.shape == (2, 6)
    return [generated, decoded, estimate]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_that_is_a_multiple_of_four(size):
    with torch.no_grad():
        for pictures in _run(size, 3, 4 if size > 16 else 1):
            assert pictures.shape == (2, 3, size, size)
            assert pictures.isfinite().all()


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_without_classes_labels_change_nothing(patch):
    torch.manual_seed(0)
    network = UNet(size=16, classes=0, width=8, patch=patch)
    torch.nn.init.normal_(network.last.weight)
    x, t = torch.randn(2, 3, 16, 16), torch.rand(2)
    assert torch.equal(network(x, t, torch.tensor([0, 1])), network(x, t, torch.tensor([1, 0])))


def test_a_picture_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    generator = Generator(size=12, classes=0, latent=6, width=4)
    noise = torch.randn(3, 6)
    other = torch.cat([noise[:1], torch.randn(2, 6)])
    labels = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(generator(noise, labels)[0], generator(other, labels)[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("classes", [0, 3])
def test_the_classic_networks_at_every_size(size, classes):
    with torch.no_grad():
        generated = ClassicGenerator(size=size, classes=classes, latent=6, width=4)(torch.randn(2, 6), LABELS)
        logits = ClassicCritic(size=size, classes=classes, width=4)(generated, LABELS)
    assert generated.shape == (2, 3, size, size)
    assert generated.abs().max() <= 1
    assert logits.shape == (2,)
    assert logits.isfinite().all()


def test_the_classic_layout_is_that_of_the_paper():
    generator, critic = (kind(size=64, classes=0, width=128) for kind in (ClassicGenerator, ClassicCritic))
    assert [conv.in_channels for conv in generator.ups] == [1024, 512, 256, 128]
    assert [conv.out_channels for conv in critic.downs] == [128, 256, 512, 1024]
    assert generator.base.out_features == 4 * 4 * 1024


@pytest.mark.parametrize("layout", [SMALL, LARGE])
def test_the_named_layouts_take_classes_and_any_size(layout):
    narrow = {**layout, "width": 8}
    with torch.no_grad():
        for size in (20, 32):
            estimate = UNet(size=size, classes=3, **narrow)(torch.randn(2, 3, size, size), torch.rand(2), LABELS)
            assert estimate.shape == (2, 3, size, size)


def test_the_large_layout_has_many_times_the_parameters_of_the_small_one():
    small, large = (sum(p.numel() for p in UNet(size=32, classes=10, **kind).parameters()) for kind in (SMALL, LARGE))
    assert 1e6 < small < 4e6
    assert 15e6 < large < 36e6
