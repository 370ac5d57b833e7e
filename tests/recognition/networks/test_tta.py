"""Test-time augmentation of uncertain pictures."""

import math

import torch

from diptych.data.transforms import Augment
from diptych.engine import runtime
from diptych.recognition import networks
from diptych.recognition.inference import onnx_backend
from diptych.recognition.networks.tta import TTA, margins


def forward(pictures):
    """Logits that depend on the top left corner, and features."""
    return pictures[:, :2, 0, 0] * 2 + pictures.mean((2, 3))[:, :2], pictures.mean((2, 3))


def test_views_are_mirrored_and_shifted_with_reflection():
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    views = TTA(True, 1).views(picture)
    assert len(views) == TTA(True, 1).count == 6
    assert torch.equal(views[0], picture[0])
    assert torch.equal(views[1, 0, 1:, 1:], picture[0, 0, :3, :3])
    assert torch.equal(views[1, 0, 0, 1:], picture[0, 0, 1, :3])  # reflected
    assert torch.equal(views[2, 0, :3, :3], picture[0, 0, 1:, 1:])
    assert torch.equal(views[3:], views[:3].flip(3))
    assert TTA(False, 0).views(picture).shape == picture.shape


def test_only_uncertain_pictures_change_with_and_without_branching():
    pictures = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain, plain_features = forward(pictures)
    tta = TTA(True, 1, threshold=1.0)
    logits, features = tta.wrap(forward)(pictures)
    clear = margins(plain, multi_label=False) >= 1.0
    assert 0 < int(clear.sum()) < 40
    assert torch.equal(logits[clear], plain[clear])
    averaged = forward(tta.views(pictures))[0].view(6, 40, 2).mean(0)
    torch.testing.assert_close(logits[~clear], averaged[~clear])
    assert torch.equal(features, plain_features)
    torch.testing.assert_close(tta.wrap_without_branch(forward)(pictures)[0], logits)


def test_the_margin_of_several_labels_is_that_of_the_least_certain():
    assert margins(torch.tensor([[3.0, -0.5], [-2.0, 4.0]]), multi_label=True).tolist() == [0.5, 2.0]


def test_the_views_are_those_of_the_training_augmentation():
    assert TTA.like(Augment("alternating", shift=2), 32, multi_label=False) == TTA(True, 1)
    assert TTA.like(Augment("random", crop=0.4), 64, multi_label=True) == TTA(True, 2, multi_label=True)
    assert TTA.like(Augment(), 32, multi_label=False).count == 1
    assert TTA(True, 2).threshold == math.inf


def test_it_is_stored_and_restored():
    tta = TTA(True, 2, threshold=1.5)
    assert TTA.from_json(tta.to_json()) == tta
    assert TTA.from_json(None) is None


def test_an_onnx_graph_augments_uncertain_pictures():
    torch.manual_seed(0)
    network = networks.build("convnet", classes=3, size=8).eval()
    pictures = torch.rand(9, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        plain = network(pictures)
        median = margins(plain, multi_label=False).sort().values[4:6].mean()
        tta = TTA(True, 1, threshold=float(median))
        expected = tta.wrap(network.logits_and_features)(pictures)[0]
    changed = (plain != expected).any(1)
    assert changed.any()
    assert not changed.all()
    graph = runtime.inference_session(onnx_backend.network_graph(network, 8, tta).SerializeToString())
    logits = graph.run(["logits"], {"inputs": pictures.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-5)
