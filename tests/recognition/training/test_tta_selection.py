"""Test-time augmentation is selected where it pays, for the pictures for which it does."""

import torch
from torch import nn

from diptych import Images, load
from diptych.recognition.networks.tta import TTA, margins
from diptych.recognition.recognizer import Recognizer
from diptych.recognition.training.tta_selection import uncertain_rows, with_threshold


def test_views_are_selected_only_where_they_pay_and_for_uncertain_pictures():
    draw = torch.Generator().manual_seed(1)
    n = 1000
    targets = torch.randint(0, 2, (n,), generator=draw)
    sign = (2 * targets - 1).float()
    before = torch.stack([torch.zeros(n), sign * 2 + 2 * torch.randn(n, generator=draw)], 1)
    rows = uncertain_rows(before, multi_label=False, most=n)
    assert len(rows) == 400
    assert margins(before[rows], multi_label=False).diff().min() >= 0
    better = before + torch.stack([torch.zeros(n), 0.8 * sign], 1)
    selected = with_threshold(TTA(True, 1), before[rows], better[rows], targets[rows])
    assert selected is not None
    assert 0.2 < selected.threshold < 0.9  # no prediction with a margin over 0.8 could change
    noise = before + torch.stack([torch.zeros(n), 0.5 * torch.randn(n, generator=draw)], 1)
    assert with_threshold(TTA(True, 1), before[rows], noise[rows], targets[rows]) is None
    assert with_threshold(TTA(True, 1), before[:0], noise[:0], targets[:0]) is None


def test_a_thousand_pictures_choose_a_threshold_that_keeps_the_gain_on_others():
    draw = torch.Generator().manual_seed(2)
    n = 20_000
    targets = torch.randint(0, 2, (n,), generator=draw)
    sign = (2 * targets - 1).float()
    signal, noise = sign * 2.5 + 1.5 * torch.randn(n, generator=draw), torch.randn(2, n, generator=draw)
    before, after = (torch.stack([torch.zeros(n), signal + part], 1) for part in (noise[0], noise.mean(0)))
    correct_before, correct_after = ((logits.argmax(1) == targets).float() for logits in (before, after))
    full_gain = float((correct_after - correct_before).mean())
    margin = margins(before, multi_label=False)
    for sample in torch.arange(10_000).split(1000):
        rows = sample[uncertain_rows(before[sample], multi_label=False, most=n)]
        selected = with_threshold(TTA(True, 1), before[rows], after[rows], targets[rows])
        assert selected is not None
        augmented = (margin < selected.threshold)[10_000:]
        assert augmented.float().mean() < 0.4
        gain = float(torch.where(augmented, correct_after[10_000:] - correct_before[10_000:], 0.0).mean())
        assert gain > 0.75 * full_gain


def test_views_that_pay_for_several_labels_are_selected():
    targets = torch.ones(60, 2, dtype=torch.bool)
    before, after = torch.full((60, 2), -0.1), torch.full((60, 2), 0.1)
    assert with_threshold(TTA(True, 0, multi_label=True), before, after, targets) is not None


class LeftHalf(nn.Module):
    """Reads the mean colour of a picture's left half alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, pictures):
        return self.head(pictures[..., : pictures.shape[-1] // 2].mean((2, 3)))


def coloured_halves(n: int) -> Images:
    """Two classes, by the colour of the left or the right half of each picture; the other half is grey."""
    draw = torch.Generator().manual_seed(0)
    labels, halves = torch.randint(0, 2, (2, n), generator=draw)
    pixels = torch.randint(100, 156, (n, 8, 8, 3), generator=draw)
    for i in range(n):
        pixels[i, :, 4 * halves[i] : 4 * halves[i] + 4, labels[i]] -= 60
    return Images.from_arrays(pixels.byte().numpy(), labels.numpy(), classes=("red", "green"))


def test_a_recognizer_uses_the_views_that_paid_in_validation_and_saves_them(tmp_path):
    pictures = coloured_halves(700)
    recognizer = Recognizer(LeftHalf, epochs=12, lr=0.1)
    recognizer.fit(pictures[:400], validate=pictures[400:], into=tmp_path / "model")
    tta = recognizer.network_.tta
    assert tta is not None
    assert tta.mirror
    predictions = recognizer.predict(pictures[400:])
    assert (predictions.labels == pictures[400:].labels).mean() > 0.9  # half of the colours are in the other half
    assert recognizer.report_.scores["accuracy"].value > 0.9
    restored = load(tmp_path / "model", network=LeftHalf)
    assert restored.network_.tta == tta
    assert (restored.predict(pictures[400:]).probabilities == predictions.probabilities).all()
