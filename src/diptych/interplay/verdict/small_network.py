"""Arms by a small network that is trained from scratch, for pictures too small for a pretrained backbone."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data import mirror_symmetry
from diptych.data.images import Images
from diptych.data.transforms import Augment
from diptych.engine.loop import Run
from diptych.engine.schedule import triangle
from diptych.engine.task import Recipe
from diptych.interplay.verdict.learner import WARMUP, Hyperparameters, Length, Tensors, label_tensor, train_head
from diptych.recognition import networks
from diptych.recognition.inference.outputs import compute_outputs
from diptych.recognition.networks import Network, convnet
from diptych.recognition.training.task import ClassificationTask

NETWORK = "convnet"
GRID = tuple(Hyperparameters(lr, decay) for lr in (1e-3, 3e-3, 1e-2) for decay in (0.05, 0.5))
MIXUP = 0.2  # of the Beta distribution that shares are drawn from
MAX_SYMMETRY_SAMPLE = 2_000  # pictures that are compared with their mirror images


class MixupTask(ClassificationTask):
    """Each batch mixed with itself in another order (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization").

    The loss of λ·x + (1 − λ)·x' is λ·L(y) + (1 − λ)·L(y'), with λ from Beta(0.2, 0.2).
    """

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The loss of the mixed pictures."""
        share = float(torch.distributions.Beta(MIXUP, MIXUP).sample())
        order = torch.randperm(len(images), device=images.device)
        logits = self.network(torch.lerp(images[order], images, share)).float()
        losses = [F.cross_entropy(logits, target) for target in (labels, labels[order])]
        yield "network", share * losses[0] + (1 - share) * losses[1]


class SmallNetwork:
    """Trains the classic small network at ``size`` px for classes numbered 0 to ``classes`` - 1; see :class:`Learner`.

    ``sample``: real training pictures, from which it follows whether mirroring them teaches nothing false.
    """

    key = "network"

    def __init__(self, sample: Images, size: int) -> None:
        self.size, self._classes = size, len(sample.classes)
        self.grid = GRID
        self.description = f"Every arm trains the same small network from scratch, at {size} px."
        self._flip = "alternating" if _is_mirror_symmetric(sample, size) else "none"

    def fit(self, images: Images, how: Hyperparameters, length: Length, seed: int, *, strong: bool = False) -> Tensors:
        """Train by the engine's loop."""
        network = self._network(seed)
        recipe = replace(convnet.RECIPE, decay=how.decay)
        task = (MixupTask if strong else ClassificationTask)(network, recipe, how.lr, multi_label=False)
        run = Run(
            task,
            images,
            size=self.size,
            recipe=Recipe(
                batch=length.batch,
                pictures=length.steps * length.batch,
                schedule=triangle(WARMUP),
                augment=self._augment(strong),
                half_life=length.steps * length.batch // 20,
                seed=seed,
            ),
        )
        for _ in run:
            pass
        return {name: tensor.cpu() for name, tensor in network.state_dict().items()}

    def refit(self, weights: Tensors, images: Images, how: Hyperparameters, length: Length, seed: int) -> Tensors:
        """Train the head further on the network's features of pictures that are not augmented."""
        features = compute_outputs(self._network(0, weights), images, self.size).features
        head = weights["head.weight"], weights["head.bias"]
        weight, bias = train_head(features, label_tensor(images), head, how, length, seed)
        return {**weights, "head.weight": weight, "head.bias": bias}

    def logits(self, weights: Tensors, images: Images) -> Tensor:
        """(N, K) float32."""
        return compute_outputs(self._network(0, weights), images, self.size).logits

    def _network(self, seed: int, weights: Tensors | None = None) -> Network:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = networks.build(NETWORK, classes=self._classes, size=self.size)
        if weights is not None:
            network.load_state_dict(weights)
        return network.eval()

    def _augment(self, strong: bool) -> Augment:
        if not strong:
            return replace(convnet.RECIPE.augment(self.size), flip=self._flip)
        return Augment(flip=self._flip, shift=max(1, self.size // 8), cutout=self.size // 4)


def _is_mirror_symmetric(images: Images, size: int) -> bool:
    """Whether pictures, all and of each class, look as likely when mirrored; by at most so many of them."""
    rows = np.unique(np.linspace(0, len(images) - 1, MAX_SYMMETRY_SAMPLE).astype(np.int64))
    labels = label_tensor(images[rows])
    groups = [torch.ones(len(rows), dtype=torch.bool), *(labels == label for label in range(len(images.classes)))]
    return mirror_symmetry.is_mirror_symmetric(images[rows].pixels(size), groups)
