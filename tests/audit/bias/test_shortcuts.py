"""Planted shortcuts are claimed, clean sets are not, and few counterexamples are too few to say."""

import numpy as np
import pytest

from diptych.audit.bias.shortcuts import search_shortcuts, worst_cell
from tests.audit.planted import answers, bordered, noise

N = 400


def follow(targets: np.ndarray, said: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Answers that are the label, but for a share of the pictures what a property says."""
    return np.where(np.random.default_rng(seed).random(len(targets)) < share, said, targets)


@pytest.mark.parametrize("agreement", [0.5, 0.9])
def test_a_border_that_the_answers_follow_is_a_shortcut(agreement):
    pixels, targets, border = bordered(N, agreement, 0)
    given = answers(pixels, targets, follow(targets, border, 0.6, 1))
    search = search_shortcuts(given, 0)
    (claim,) = search.of_state("shortcut")
    assert claim.name in ("border colour", "background colour")
    assert (claim.says == border).mean() > 0.9
    assert claim.agreeing.value > claim.against.value + 0.4
    label, kind, score = worst_cell(search, claim)
    assert (label, kind) in ((0, 1), (1, 0))
    accuracies = [given.correct[(targets == k) & (border == 1 - k)].mean() for k in range(2)]
    assert score.value == pytest.approx(min(accuracies), abs=0.05)


def test_a_border_that_predicts_the_label_but_not_the_answers_is_harmless():
    pixels, targets, _ = bordered(N, 0.9, 2)
    wrong = np.random.default_rng(3).random(N) < 0.05
    search = search_shortcuts(answers(pixels, targets, np.where(wrong, 1 - targets, targets)), 0)
    assert not search.of_state("shortcut")
    assert search.of_state("harmless")


def test_with_few_counterexamples_nothing_is_claimed():
    pixels, targets, border = bordered(N, 0.98, 4)
    search = search_shortcuts(answers(pixels, targets, border), 0)
    assert not search.of_state("shortcut")
    (undecided,) = search.of_state("too few")
    assert undecided.against.n < 20


def test_noise_is_no_shortcut_even_for_a_recognizer_that_errs_often():
    for seed in range(2):
        pixels, targets = noise(N, 16, seed), np.arange(N) % 2
        wrong = np.random.default_rng(seed).random(N) < 0.2
        search = search_shortcuts(answers(pixels, targets, np.where(wrong, 1 - targets, targets)), seed)
        assert {suspect.state for suspect in search.suspects} == {"unrelated"}


def test_a_metadata_column_is_a_shortcut_where_the_answers_follow_it():
    pixels, targets = noise(N, 8, 5), np.arange(N) % 2
    camera = np.random.default_rng(6).integers(0, 2, N)
    names = np.array(["phone", "studio"])[camera]
    search = search_shortcuts(answers(pixels, targets, follow(targets, camera, 0.7, 7), {"camera": names}), 0)
    assert [claim.name for claim in search.of_state("shortcut")] == ["camera"]


def test_a_mark_in_a_corner_that_colours_do_not_show_is_seen_by_the_backbones_first_layers():
    n, side, mark = 240, 48, 8
    draw = np.random.default_rng(8)
    targets = np.arange(n) % 2
    marked = np.where(draw.random(n) < 0.9, targets, 1 - targets)
    pixels = noise(n, side, 9)
    stripes = np.where(np.indices((mark, mark))[0] % 4 < 2, 90, 165).astype(np.uint8)[:, :, None]
    pixels[marked == 1, -mark - 2 : -2, 2 : mark + 2] = stripes
    search = search_shortcuts(answers(pixels, targets, follow(targets, marked, 0.8, 10)), 0)
    (claim,) = search.of_state("shortcut")
    assert "lower left corner" in (claim.name, *claim.same)
    assert "upper right corner" not in (claim.name, *claim.same)


def test_one_class_or_a_handful_of_pictures_are_not_searched():
    pixels, targets, border = bordered(N, 0.5, 11)
    assert not search_shortcuts(answers(pixels[::2], targets[::2], border[::2]), 0).suspects
    assert not search_shortcuts(answers(pixels[:6], targets[:6], border[:6]), 0).suspects
