"""Arms by a linear head on a pretrained backbone's features, for photographs; and the arm "pretrained features"."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.backbones import timm_backbone
from diptych.backbones.features import MIN_SIDE
from diptych.data.images import Images
from diptych.data.transforms import Augment, to_uint8
from diptych.interplay.verdict.learner import Hyperparameters, Length, Tensors, label_tensor, train_head
from diptych.recognition.inference.embedder import Embedder

GRID = tuple(Hyperparameters(lr, decay) for lr in (1e-3, 3e-3, 1e-2) for decay in (0.01, 1.0))
VIEWS = 3  # augmented ones of each picture, beside the picture itself
STRONG = Augment(flip="random", crop=0.35, colour=0.4)
CHUNK = 256  # pictures that are augmented and embedded together


class FrozenFeatures:
    """Trains a linear head on the features of a pretrained backbone; see :class:`Learner`.

    Parameters
    ----------
    backbone
        Its name.
    size
        Usual side of the pictures, in px.
    classes
        Their number.
    """

    key = "features"

    def __init__(self, backbone: str, size: int, classes: int) -> None:
        side = max(MIN_SIDE, min(size, timm_backbone.default_size(backbone)))
        self._embedder = Embedder.from_backbone(backbone, side)
        self._classes = classes
        self.grid = GRID
        self.description = (
            f"Every arm trains a linear head on features of a pretrained backbone ({self._embedder.name}, frozen, at "
            f"{side} px), as suits photographs."
        )
        self._known: dict[int, Tensor] = {}  # features by a picture's digest
        self._views: dict[int, Tensor] = {}  # of augmented views, (VIEWS, D)

    @property
    def name(self) -> str:
        """The backbone's."""
        return self._embedder.name

    def fit(self, images: Images, how: Hyperparameters, length: Length, seed: int, *, strong: bool = False) -> Tensors:
        """Train a head that starts at 0; with strong augmentation on several views of each picture."""
        features, labels = self._features(images), label_tensor(images)
        if strong:
            views = self._augmented(images)
            features, labels = torch.cat([features, *views.unbind(1)]), labels.repeat(1 + VIEWS)
        start = torch.zeros(self._classes, features.shape[1]), torch.zeros(self._classes)
        return self._trained(features, labels, start, how, length, seed)

    def refit(self, weights: Tensors, images: Images, how: Hyperparameters, length: Length, seed: int) -> Tensors:
        """Train the head further."""
        start = weights["weight"], weights["bias"]
        return self._trained(self._features(images), label_tensor(images), start, how, length, seed)

    def logits(self, weights: Tensors, images: Images) -> Tensor:
        """(N, K) float32."""
        return F.linear(self._features(images), weights["weight"], weights["bias"])

    def _trained(
        self, features: Tensor, labels: Tensor, start: tuple[Tensor, Tensor], how: Hyperparameters, length: Length,
        seed: int,
    ) -> Tensors:  # fmt: skip
        weight, bias = train_head(features, labels, start, how, length, seed)
        return {"weight": weight, "bias": bias}

    def _features(self, images: Images) -> Tensor:
        """(N, D), of length √D; each picture's are computed once."""
        digests = images.store.content_digests().tolist()
        missing = [row for row, digest in enumerate(digests) if digest not in self._known]
        if missing:
            rows = self._computed(images[missing])
            self._known.update(zip((digests[row] for row in missing), rows, strict=True))
        return torch.stack([self._known[digest] for digest in digests])

    def _augmented(self, images: Images) -> Tensor:
        """(N, VIEWS, D) features of augmented views, the same for every seed."""
        digests = images.store.content_digests().tolist()
        missing = np.array([row for row, digest in enumerate(digests) if digest not in self._views], np.int64)
        for start in range(0, len(missing), CHUNK):
            rows = missing[start : start + CHUNK]
            views = torch.stack([self._view(images[rows], turn, start) for turn in range(VIEWS)], 1)
            self._views.update(zip((digests[row] for row in rows), views, strict=True))
        return torch.stack([self._views[digest] for digest in digests])

    def _view(self, images: Images, turn: int, start: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(start * VIEWS + turn)
            views = STRONG(images.pixels(self._embedder.size), torch.zeros(len(images), dtype=torch.int64))
        arrays = to_uint8(views).permute(0, 2, 3, 1).contiguous().numpy()
        return self._computed(Images.from_arrays(arrays))

    def _computed(self, images: Images) -> Tensor:
        rows = torch.cat(list(self._embedder.batches(images)))
        scaled: Tensor = rows * rows.shape[1] ** 0.5
        return scaled
