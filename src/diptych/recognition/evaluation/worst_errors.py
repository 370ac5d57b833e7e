"""The worst errors, each with its reasons: where the network looked, and what it was reminded of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.recognition.explanation.attribution import attribution_maps
from diptych.recognition.explanation.nearest import label_name, nearest_pictures, read_picture
from diptych.recognition.inference import batched
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.networks import Network
from diptych.report import Card, figures
from diptych.report.heatmap import overlay

WORST = 12  # errors shown
FORWARD_PASSES = 60  # about what their reasons cost, counted in pictures shown to the network
SIDE = 128  # px that a picture is shown at


@dataclass(frozen=True)
class ErrorExplainer:
    """Who gave the answers, and can be asked why."""

    network: Network
    size: int
    memory: EmbeddingIndex | None


def worst_errors(
    images: Images, truth: Tensor, guess: Tensor, sure: Tensor, classes: tuple[str, ...], witness: ErrorExplainer | None
) -> list[Card]:
    """The wrong answers given with the most confidence, worst first.

    Parameters
    ----------
    truth, guess
        (N,) int64 class numbers, or (N, K) bool.
    sure
        How sure each answer was, of the same shape.
    witness
        Without one the pictures are shown without reasons.
    """
    wrong, about = guess != truth, guess
    if truth.ndim == 2:  # of several labels that one matters which was wrong with the most confidence
        sure, about = sure.where(wrong, 0).max(1)
        wrong = wrong.any(1)
    rows = wrong.nonzero().flatten()
    rows = rows[sure[rows].argsort(descending=True, stable=True)][:WORST]
    shown = images[rows.numpy()]
    cards = [
        Card(
            f"{label_name(guess[i].numpy(), classes)} {float(sure[i]):.0%}, is {label_name(truth[i].numpy(), classes)}",
            {"picture": figures.picture(shown_pixels(images, i))},
            {"picture": str(images.paths[i])},
        )
        for i in rows.tolist()
    ]
    if witness is not None and cards:
        _add_heat(cards, shown, about[rows], classes, witness, multi_label=truth.ndim == 2)
        _add_nearest(cards, shown, classes, witness)
    return cards


def shown_pixels(images: Images, i: int) -> NDArray[np.uint8]:
    """One picture to be looked at, a square; a small one enlarged pixel by pixel."""
    side = min(SIDE, int(images[i].dimensions().max()))
    return figures.enlarged(images.picture(i, side), SIDE // 2)


def _add_heat(
    cards: list[Card],
    shown: Images,
    about: Tensor,
    classes: tuple[str, ...],
    witness: ErrorExplainer,
    *,
    multi_label: bool,
) -> None:
    try:
        maps = attribution_maps(witness.network, shown, witness.size, about, multi_label=multi_label)
    except UsageError:  # such a network takes a package that is not installed; the report does without
        return
    for i, card in enumerate(cards):
        over = overlay(shown_pixels(shown, i), maps[i].numpy())
        card.pictures[f"what spoke for {classes[int(about[i])]}"] = figures.picture(over)


def _add_nearest(cards: list[Card], shown: Images, classes: tuple[str, ...], witness: ErrorExplainer) -> None:
    if witness.memory is None or len(witness.memory) == 0:
        return
    embeddings = F.normalize(batched.batched_features(witness.network, shown, witness.size), dim=1)
    near = nearest_pictures(witness.memory, embeddings, classes, 1)
    for i, card in enumerate(cards):
        found = near.rows(i)[0]
        card.facts["most alike in training"] = f"{found['path']} ({found['label']}, {found['similarity']:.2f})"
        pixels = read_picture(found["path"], SIDE)
        if pixels is not None:
            card.pictures[f"most alike in training: {found['label']}"] = figures.picture(pixels)
