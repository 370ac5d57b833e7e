"""Group-DRO: the loss of the worst group is minimised, by weights that grow where the loss is high.

Sagawa et al. 2020, "Distributionally robust neural networks for group shifts", algorithm 1: with each step
q_g ← q_g · exp(η ℓ_g), normalised, and the loss is Σ_g q_g ℓ_g, ℓ_g being the mean loss of group g in the batch. A
network in training grows q by the batch of the step before, whose losses are by then those of all processes.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.engine.processes.shared_step import mean_over_processes
from diptych.recognition.networks import Network, TrainingRecipe
from diptych.recognition.training.remedies.cells import Cells
from diptych.recognition.training.task import ClassificationTask
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LinearHead

RATE = 0.01  # η of a network in training, as in the paper
HEAD_RATE = 0.1  # of a head on features, which sees all pictures in each of fewer steps
HEAD_STEPS, HEAD_LR, HEAD_DECAY = 400, 0.02, 1e-3


def cell_losses(losses: Tensor, cells: Tensor, count: int) -> Tensor:
    """(C,) the mean of (B,) losses in each cell, over all processes; 0 of one without a picture."""
    sums = mean_over_processes(losses.new_zeros(count).index_add(0, cells, losses))
    counts = mean_over_processes(torch.bincount(cells, minlength=count).to(losses.dtype))
    return sums / torch.where(counts > 0, counts, 1)


def grown_weights(weights: Tensor, losses: Tensor, rate: float) -> Tensor:
    """(C,) q_g · exp(η ℓ_g) / Σ_h q_h · exp(η ℓ_h)."""
    return (weights.log() + rate * losses).softmax(0)


class CellWeights(nn.Module):
    """The weights q of the cells, and their classes: part of a run's state, so that it resumes as if never killed."""

    weights: Tensor
    labels: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, cells: Cells) -> None:
        super().__init__()
        count = len(cells.names)
        self.register_buffer("weights", torch.full((count,), 1 / count))
        self.register_buffer("labels", torch.from_numpy(cells.labels))
        # Of the last batch: buffers, so that the engine averages them over the processes, which keeps their ratio.
        self.register_buffer("sums", torch.zeros(count))
        self.register_buffer("counts", torch.zeros(count))

    @torch.no_grad()
    def grow(self) -> Tensor:
        """(C,) the weights, grown by the mean loss of each cell in the last batch of all processes."""
        means = torch.where(self.counts > 0, self.sums / self.counts.clamp(min=1e-12), 0)
        self.weights.copy_(grown_weights(self.weights, means, RATE))
        return self.weights.clone()

    @torch.no_grad()
    def remember(self, losses: Tensor, cells: Tensor) -> None:
        """Keep the (B,) losses of a batch, summed by cell."""
        self.sums.zero_().index_add_(0, cells, losses.float())
        self.counts.copy_(torch.bincount(cells, minlength=len(self.counts)))


class GroupDRO(ClassificationTask):
    """A network trained on the weighted losses of the cells; the labels that it is given are cells, not classes."""

    def __init__(self, network: Network, recipe: TrainingRecipe, lr: float, cells: Cells) -> None:
        super().__init__(network, recipe, lr, multi_label=False)
        self.cells = CellWeights(cells)

    def modules(self) -> dict[str, nn.Module]:
        """The network, and the weights of the cells."""
        return {**super().modules(), "cells": self.cells}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Σ_g q_g ℓ_g, q having grown by the losses of the step before."""
        weights = self.cells.grow()
        losses = self.per_picture_loss(self.network, images, self.cells.labels[labels])
        self.cells.remember(losses.detach(), labels)
        yield "network", (weights * cell_losses(losses, labels, len(weights))).sum()


def group_dro_head(training: LabelledFeatures, cells: Cells, classes: int) -> LinearHead:
    """A head on (N, D) features, fitted by group-DRO to all of them in each step."""
    mean = training.features.mean(0)
    scale = float((training.features - mean).square().mean().sqrt().clamp(min=1e-6))
    features = (training.features - mean) / scale
    numbers = torch.from_numpy(cells.numbers).to(features.device)
    weight, bias = (torch.zeros(*shape, device=features.device) for shape in ((classes, features.shape[1]), (classes,)))
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    solver: Any = torch.optim.AdamW(parameters, lr=HEAD_LR, weight_decay=HEAD_DECAY)
    q = torch.full((len(cells.names),), 1 / len(cells.names), device=features.device)
    for _ in range(HEAD_STEPS):
        losses = F.cross_entropy(F.linear(features, weight, bias), training.labels, reduction="none")
        of_cell = cell_losses(losses, numbers, len(q))
        q = grown_weights(q, of_cell.detach(), HEAD_RATE)
        solver.zero_grad()
        (q * of_cell).sum().backward()  # type: ignore[no-untyped-call]
        solver.step()
    scaled = weight.detach() / scale
    return LinearHead(scaled, bias.detach() - scaled @ mean)
