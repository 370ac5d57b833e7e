"""Looking again at doubtful pictures."""

import math

import torch
from torch import nn

from diptych import Images, load
from diptych.data.transforms import Augment
from diptych.engine import runtime
from diptych.recognition import networks
from diptych.recognition.inference import onnx_backend
from diptych.recognition.networks import tta
from diptych.recognition.networks.tta import TTA
from diptych.recognition.recognizer import Recognizer
from diptych.recognition.training import tta_selection


def asked(pictures):
    """Logits that differ from side to side, and features."""
    return pictures[:, :2, 0, 0] * 2 + pictures.mean((2, 3))[:, :2], pictures.mean((2, 3))


def test_the_looks_are_mirrored_and_moved_by_reflection():
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    looks = TTA(True, 1).views(picture)
    assert len(looks) == TTA(True, 1).count == 6
    assert torch.equal(looks[0], picture[0])
    assert torch.equal(looks[1, 0, 1:, 1:], picture[0, 0, :3, :3])
    assert torch.equal(looks[1, 0, 0, 1:], picture[0, 0, 1, :3])  # reflected
    assert torch.equal(looks[2, 0, :3, :3], picture[0, 0, 1:, 1:])
    assert torch.equal(looks[3:], looks[:3].flip(3))
    assert TTA(False, 0).views(picture).shape == picture.shape


def test_only_doubtful_pictures_change_and_a_graph_gives_the_same():
    pictures = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain, features = asked(pictures)
    some = TTA(True, 1, threshold=1.0)
    told, seen = some.wrap(asked)(pictures)
    clear = tta.margins(plain, multi_label=False) >= 1.0
    assert 0 < int(clear.sum()) < 40
    assert torch.equal(told[clear], plain[clear])
    everywhere = asked(some.views(pictures))[0].view(6, 40, 2).mean(0)
    torch.testing.assert_close(told[~clear], everywhere[~clear])
    assert torch.equal(seen, features)
    torch.testing.assert_close(some.wrap_without_branch(asked)(pictures)[0], told)


def test_views_are_kept_where_they_pay_and_only_as_far_as_they_do():
    draw = torch.Generator().manual_seed(1)
    n = 1000
    truth = torch.randint(0, 2, (n,), generator=draw)
    sign = (2 * truth - 1).float()
    before = torch.stack([torch.zeros(n), sign * 2 + 2 * torch.randn(n, generator=draw)], 1)
    rows = tta_selection.uncertain_rows(before, multi_label=False, most=n)
    assert len(rows) == 400
    assert tta.margins(before[rows], multi_label=False).diff().min() >= 0
    surer = before + torch.stack([torch.zeros(n), 0.8 * sign], 1)
    found = tta_selection.with_threshold(TTA(True, 1), before[rows], surer[rows], truth[rows])
    assert found is not None
    assert 0.2 < found.threshold < 0.9  # no answer with a margin over 0.8 could change
    noise = before + torch.stack([torch.zeros(n), 0.5 * torch.randn(n, generator=draw)], 1)
    assert tta_selection.with_threshold(TTA(True, 1), before[rows], noise[rows], truth[rows]) is None
    assert tta_selection.with_threshold(TTA(True, 1), before[:0], noise[:0], truth[:0]) is None


def test_a_thousand_pictures_choose_a_threshold_that_keeps_the_gain_on_others():
    draw = torch.Generator().manual_seed(2)
    n = 20_000
    truth = torch.randint(0, 2, (n,), generator=draw)
    sign = (2 * truth - 1).float()
    signal, noise = sign * 2.5 + 1.5 * torch.randn(n, generator=draw), torch.randn(2, n, generator=draw)
    before, after = (torch.stack([torch.zeros(n), signal + some], 1) for some in (noise[0], noise.mean(0)))
    right_before, right_after = ((logits.argmax(1) == truth).float() for logits in (before, after))
    whole = float((right_after - right_before).mean())
    clear = tta.margins(before, multi_label=False)
    for few in torch.arange(10_000).split(1000):
        rows = few[tta_selection.uncertain_rows(before[few], multi_label=False, most=n)]
        found = tta_selection.with_threshold(TTA(True, 1), before[rows], after[rows], truth[rows])
        assert found is not None
        looked_at = (clear < found.threshold)[10_000:]
        assert looked_at.float().mean() < 0.4
        gain = float(torch.where(looked_at, right_after[10_000:] - right_before[10_000:], 0.0).mean())
        assert gain > 0.75 * whole


def test_the_margin_of_several_labels_is_that_of_the_least_sure_one():
    assert tta.margins(torch.tensor([[3.0, -0.5], [-2.0, 4.0]]), multi_label=True).tolist() == [0.5, 2.0]
    truth = torch.ones(60, 2, dtype=torch.bool)
    before, after = torch.full((60, 2), -0.1), torch.full((60, 2), 0.1)
    assert tta_selection.with_threshold(TTA(True, 0, multi_label=True), before, after, truth) is not None


def test_the_sides_are_those_seen_in_training():
    assert TTA.like(Augment("alternating", shift=2), 32, multi_label=False) == TTA(True, 1)
    assert TTA.like(Augment("random", crop=0.4), 64, multi_label=True) == TTA(True, 2, multi_label=True)
    assert TTA.like(Augment(), 32, multi_label=False).count == 1
    kept = TTA(True, 2, threshold=1.5)
    assert TTA.restored(kept.json()) == kept
    assert TTA.restored(None) is None
    assert TTA(True, 2).threshold == math.inf


class LeftHalf(nn.Module):
    """Sees the colour of a picture's left half alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, pictures):
        return self.head(pictures[..., : pictures.shape[-1] // 2].mean((2, 3)))


def coloured_halves(n: int) -> Images:
    """Two classes that one half of each picture tells, either one; the other half is grey."""
    draw = torch.Generator().manual_seed(0)
    labels, sides = torch.randint(0, 2, (2, n), generator=draw)
    pixels = torch.randint(100, 156, (n, 8, 8, 3), generator=draw)
    for i in range(n):
        pixels[i, :, 4 * sides[i] : 4 * sides[i] + 4, labels[i]] -= 60
    return Images.from_arrays(pixels.byte().numpy(), labels.numpy(), classes=("red", "green"))


def test_a_recognizer_looks_again_where_that_paid_in_validation_and_so_does_its_artefact(tmp_path):
    pictures = coloured_halves(700)
    recognizer = Recognizer(LeftHalf, epochs=12, lr=0.1)
    recognizer.fit(pictures[:400], validate=pictures[400:], into=tmp_path / "model")
    found = recognizer.network_.tta
    assert found is not None
    assert found.mirror
    told = recognizer.predict(pictures[400:])
    assert (told.labels == pictures[400:].labels).mean() > 0.9  # half of the labels lie on the side that is not seen
    assert recognizer.report_.scores["accuracy"].value > 0.9
    again = load(tmp_path / "model", network=LeftHalf)
    assert again.network_.tta == found
    assert (again.predict(pictures[400:]).probabilities == told.probabilities).all()


def test_a_graph_looks_at_doubtful_pictures_from_all_sides():
    torch.manual_seed(0)
    network = networks.build("convnet", classes=3, size=8).eval()
    pictures = torch.rand(9, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        plain = network(pictures)
        between = tta.margins(plain, multi_label=False).sort().values[4:6].mean()
        some = TTA(True, 1, threshold=float(between))
        expected = some.wrap(network.logits_and_features)(pictures)[0]
    changed = (plain != expected).any(1)
    assert changed.any()
    assert not changed.all()
    graph = runtime.session(onnx_backend.network_graph(network, 8, some).SerializeToString())
    told = graph.run(["logits"], {"seen": pictures.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(told), expected, rtol=1e-4, atol=1e-5)
