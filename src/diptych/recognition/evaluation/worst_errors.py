"""The worst errors, each explained by a heatmap and the nearest training picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.data.provenance import generated_facts
from diptych.errors import UsageError
from diptych.recognition.explanation.attribution import attribution_maps
from diptych.recognition.explanation.nearest import label_name, nearest_pictures
from diptych.recognition.inference import batched
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.networks import Network
from diptych.report import Card, figures
from diptych.report.heatmap import overlay

MAX_ERRORS = 12  # shown
FORWARD_PASSES = 60  # about what explaining them costs, in pictures that the network runs on
SIDE = 128  # px that a picture is shown at


@dataclass(frozen=True)
class ErrorExplainer:
    """What explains a recognizer's errors: its network, its picture size in px, and its embedding index."""

    network: Network
    size: int
    index: EmbeddingIndex | None


def worst_errors(
    images: Images,
    targets: Tensor,
    predicted: Tensor,
    confidence: Tensor,
    classes: tuple[str, ...],
    explainer: ErrorExplainer | None,
) -> list[Card]:
    """The wrong predictions with the highest confidence, worst first.

    Parameters
    ----------
    targets, predicted
        (N,) int64 class numbers, or (N, K) bool.
    confidence
        Of each prediction, of the same shape, 0..1.
    explainer
        ``None``: the pictures are shown without explanations.
    """
    wrong, explained = predicted != targets, predicted
    if targets.ndim == 2:  # of several labels, the wrong one with the highest confidence counts
        confidence, explained = confidence.where(wrong, 0).max(1)
        wrong = wrong.any(1)
    rows = wrong.nonzero().flatten()
    rows = rows[confidence[rows].argsort(descending=True, stable=True)][:MAX_ERRORS]
    cards = [
        Card(
            f"predicted {label_name(predicted[i].numpy(), classes)} ({float(confidence[i]):.0%}), "
            f"labelled {label_name(targets[i].numpy(), classes)}",
            {"picture": figures.picture(display_pixels(images, i))},
            {"picture": str(images.paths[i])},
        )
        for i in rows.tolist()
    ]
    if explainer is not None and cards:
        errors = images[rows.numpy()]
        _add_heatmaps(cards, errors, explained[rows], classes, explainer, multi_label=targets.ndim == 2)
        _add_nearest(cards, errors, classes, explainer)
    return cards


def display_pixels(images: Images, i: int) -> NDArray[np.uint8]:
    """Picture ``i`` as a square for display; a small one is enlarged pixel by pixel."""
    side = min(SIDE, int(images[i].dimensions().max()))
    return figures.enlarged(images.picture(i, side), SIDE // 2)


def _add_heatmaps(
    cards: list[Card],
    errors: Images,
    labels: Tensor,
    classes: tuple[str, ...],
    explainer: ErrorExplainer,
    *,
    multi_label: bool,
) -> None:
    try:
        maps = attribution_maps(explainer.network, errors, explainer.size, labels, multi_label=multi_label)
    except UsageError:  # the network needs captum, which is not installed; the report does without heatmaps
        return
    for i, card in enumerate(cards):
        heatmap = overlay(display_pixels(errors, i), maps[i].numpy())
        card.pictures[f"attribution for {classes[int(labels[i])]}"] = figures.picture(heatmap)


def _add_nearest(cards: list[Card], errors: Images, classes: tuple[str, ...], explainer: ErrorExplainer) -> None:
    if explainer.index is None or len(explainer.index) == 0:
        return
    embeddings = F.normalize(batched.batched_features(explainer.network, errors, explainer.size), dim=1)
    nearest = nearest_pictures(explainer.index, embeddings, classes, 1)
    for i, card in enumerate(cards):
        match = nearest.rows(i)[0]
        card.facts["nearest training picture"] = f"{match['path']} ({match['label']}, {match['similarity']:.2f})"
        picture = nearest.pictures(i)[0]
        if picture is not None:
            name, facts = f"nearest training picture: {match['label']}", generated_facts(picture, 0)
            card.pictures[name] = figures.picture(picture.picture(0, SIDE), facts)
