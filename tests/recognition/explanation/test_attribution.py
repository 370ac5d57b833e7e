"""Heatmaps highlight what decides, whatever the network, and depend on its weights."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from diptych import Images, Recognizer
from diptych.errors import DataError, UsageError
from diptych.recognition import networks
from diptych.recognition.explanation import attribution
from tests.recognition.planted import focus, planted


class Flat(nn.Module):
    """A network without spatial positions: it flattens the picture first."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, images):
        return self.layers(images)


class Tokens(nn.Module):
    """A small transformer whose head reads a class token in front of the others."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, 4)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 32))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // 4) ** 2 + 1, 32))
        block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, classes)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.class_token.expand(len(images), -1, -1), tokens), 1) + self.positions
        return self.head(self.blocks(tokens)[:, 0])


NETWORKS = {
    "convnet": (Recognizer("convnet", epochs=8, batch=32), 16, 4),
    "speednet": (Recognizer("speednet-s", epochs=8, batch=32), 32, 8),
    "transformer": (Recognizer(Tokens, size=16, epochs=20, batch=32), 16, 4),
    "flattening": (Recognizer(Flat, size=16, epochs=20, batch=32), 16, 4),
}


@pytest.fixture(scope="module")
def trained():
    """Each kind of network, trained once: a recognizer, held-out pictures, and the masks of their patches."""
    cache: dict[str, tuple[Recognizer, Images, torch.Tensor]] = {}

    def of(name: str):
        if name not in cache:
            recognizer, size, patch = NETWORKS[name]
            recognizer.fit(planted(300, size, patch)[0])
            cache[name] = (recognizer, *planted(40, size, patch, seed=9))
        return cache[name]

    return of


@pytest.mark.parametrize("name", NETWORKS)
def test_heatmaps_highlight_what_decides(name, trained):
    recognizer, images, inside = trained(name)
    assert (recognizer.predict(images).labels == images.labels).mean() > 0.9
    heatmaps = recognizer.explain(images)
    assert heatmaps.shape == (40, recognizer.size_, recognizer.size_)
    assert heatmaps.dtype == torch.float32
    assert (heatmaps.min() >= 0) & (heatmaps.max() <= 1)
    assert focus(heatmaps, inside) > 3


@pytest.mark.parametrize("name", ["convnet", "transformer"])
def test_heatmaps_depend_on_the_weights(name, trained):
    """The sanity check of Adebayo et al. 2018: with random weights the heatmap must change."""
    recognizer, images, inside = trained(name)
    before = recognizer.explain(images)
    randomised = networks.build(recognizer.network, classes=2, size=recognizer.size_)
    torch.manual_seed(0)
    for weights in randomised.parameters():
        nn.init.normal_(weights, std=0.1)
    after = attribution.attribution_maps(randomised, images, recognizer.size_, None, multi_label=False)
    assert focus(after, inside) < focus(before, inside) / 2


def test_heatmaps_of_different_classes_differ(trained):
    recognizer, images, inside = trained("convnet")
    reds = images[images.labels == 0]
    red_patches = inside[torch.from_numpy(images.labels == 0)]
    for_red, for_green = recognizer.explain(reds, "red"), recognizer.explain(reds, 1)
    assert focus(for_red, red_patches) > 3
    assert focus(for_green, red_patches) < 1


def test_a_heatmap_does_not_depend_on_the_other_pictures(trained):
    recognizer, images, _ = trained("convnet")
    alone = recognizer.explain(images[7:8])[0]
    assert torch.allclose(alone, recognizer.explain(images)[7], atol=1e-5)


def test_contributions_are_those_of_captum(trained):
    from captum.attr import LayerGradientXActivation

    recognizer, images, _ = trained("convnet")
    network = recognizer.network_
    pictures = images.pixels(16)[:4].float() / 127.5 - 1
    target = attribution.AttributionTarget(network, torch.tensor([0, 1, 0, 1]), multi_label=False)
    layer = network.body[0]
    (part,) = attribution.layer_attributions(target, pictures, [layer])
    expected = LayerGradientXActivation(target.log_odds, layer).attribute(pictures).sum(1)
    assert torch.allclose(part.cells, expected.detach(), atol=1e-6)


def test_contributions_before_a_linear_head_sum_to_the_logit():
    """After the last map only averaging and a linear head follow, so the cells' contributions sum to the logit."""

    class Averaging(networks.Network):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 3, bias=False)

        def features(self, images):
            return self.body(images).mean((2, 3))

    torch.manual_seed(0)
    network, pictures = Averaging(), torch.randn(2, 3, 8, 8)
    target = attribution.AttributionTarget(network, torch.tensor([2, 0]), multi_label=True)
    (part,) = attribution.layer_attributions(target, pictures, [network.body])
    assert torch.allclose(part.cells.sum((1, 2)), network(pictures)[[0, 1], [2, 0]], atol=1e-5)


def test_several_labels_are_explained_one_at_a_time():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, (300, 2)).astype(bool)
    pixels = draw.integers(60, 196, (300, 16, 16, 3)).astype(np.uint8)
    pixels[labels[:, 0], 2:6, 2:6] = (230, 40, 40)
    pixels[labels[:, 1], 10:14, 10:14] = (40, 230, 40)
    images = Images.from_arrays(pixels, labels, classes=("red", "green"))
    recognizer = Recognizer("convnet", epochs=8, batch=32).fit(images)
    both = images[labels.all(1)][:20]
    for label, corner in (("red", slice(0, 8)), ("green", slice(8, 16))):
        heatmaps = recognizer.explain(both, label)
        assert heatmaps[:, corner, corner].mean() > 2 * heatmaps.mean()


def test_backbones_have_layers_with_spatial_positions():
    for name, size in (("test_vit", 64), ("test_convnext", 64), ("test_resnet", 64)):
        torch.manual_seed(0)
        network = networks.build(f"timm:{name}", classes=2, size=size, download=False)
        nn.init.normal_(network.head.weight)
        layers = attribution.choose_layers(network.eval(), size, multi_label=False)
        pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
        heatmaps = attribution.attribution_maps(network, Images.from_arrays(pixels), size, None, multi_label=False)
        assert layers
        assert (heatmaps.amax((1, 2)) == 1).all()


def test_the_error_for_an_unknown_class_lists_the_classes(trained):
    recognizer, images, _ = trained("convnet")
    with pytest.raises(UsageError, match=r"'blue'.*red, green"):
        recognizer.explain(images, "blue")
    with pytest.raises(UsageError, match="2"):
        recognizer.explain(images, 2)


def test_unreadable_pictures_are_reported(trained, tmp_path):
    (tmp_path / "odd.png").write_text("no picture")
    with pytest.raises(DataError, match=r"odd\.png"):
        trained("convnet")[0].explain(Images.of_files([tmp_path / "odd.png"]))


def test_without_captum_the_error_names_the_package(trained, monkeypatch):
    recognizer, images, _ = trained("flattening")
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UsageError, match=r"diptych\[explain\]"):
        recognizer.explain(images)


def test_no_pictures_give_no_heatmaps(trained):
    recognizer, images, _ = trained("convnet")
    assert recognizer.explain(images[:0]).shape == (0, 16, 16)
