"""Embedders: they turn pictures into feature vectors, by a fitted network or by a pretrained backbone as it is."""

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych import tensor_files
from diptych.backbones import timm_backbone
from diptych.data.images import Images
from diptych.engine import row_jobs
from diptych.progress import Bar
from diptych.recognition import networks
from diptych.recognition.inference.batched import run_in_chunks
from diptych.recognition.inference.feature_cache import FeatureCache
from diptych.recognition.inference.outputs import Outputs, spectral_slopes
from diptych.recognition.networks import Network

CHUNK_PICTURES = 256  # that are computed, kept and yielded together
CACHE_VERSION = 1  # of what the rows of the feature cache are


@dataclass(frozen=True)
class Embedder:
    """Turns pictures into embeddings.

    Attributes
    ----------
    network
        Its features are the embeddings; its head is not used.
    size
        Side of the network's input, in px.
    name
        In a few words, for reports.
    frozen
        Whether the network is a backbone as it was pretrained: its features are kept in the feature cache.
    """

    network: Network
    size: int
    name: str
    frozen: bool = False

    @classmethod
    def from_backbone(cls, name: str, size: int | None = None) -> Self:
        """A pretrained backbone as it is: "lite0", "lite1", "lite2", "timm:NAME" or "timm:NAME@PATH".

        Parameters
        ----------
        size
            Side of its input, in px; ``None``: that of its pretraining.

        Raises
        ------
        UsageError
            There is no such backbone, or its weights are not to be had.
        """
        networks.check(name)
        size = timm_backbone.default_size(name) if size is None else size
        network = networks.build(name, classes=1, size=size).eval()
        return cls(network, size, networks.name_of(name), frozen=True)

    @cached_property
    def sha256(self) -> str:
        """Of the network's weights: embeddings of different networks cannot be compared."""
        weights = {name: tensor for name, tensor in self.network.state_dict().items() if not name.startswith("head.")}
        return hashlib.sha256(tensor_files.pack(weights)).hexdigest()

    @cached_property
    def _cache(self) -> FeatureCache | None:
        return FeatureCache(f"{self.sha256[:16]}-{self.size}-{CACHE_VERSION}") if self.frozen else None

    @property
    def dimensions(self) -> int:
        """Numbers in an embedding."""
        return self._width - self._slopes

    def facts(self) -> dict[str, str | int]:
        """What identifies the embedder, JSON-able."""
        return {"name": self.name, "sha256": self.sha256, "size": self.size}

    def batches(self, images: Images) -> Iterator[Tensor]:
        """Embeddings of unit length, (n, D) float32, some hundred at a time, in order.

        NaN for a picture that cannot be read, with the reason in ``images.known_errors()``.
        """
        for features, _ in self._stream(images, "Embedding"):
            yield F.normalize(features, dim=1)

    def outputs(self, images: Images, title: str = "Embedding", until: float = math.inf) -> Outputs:
        """All outputs for the pictures, of a network whose head stands alone: any but a person's own.

        Parameters
        ----------
        title
            Of the progress bar.
        until
            ``time.monotonic()`` after which nothing more is computed but the first few hundred pictures: the rows of
            others are NaN unless they are in the feature cache.
        """
        features, slopes = map(torch.cat, zip(*self._stream(images, title, until), strict=True))
        with torch.inference_mode():
            logits = self.network.logits_of(features.to(next(self.network.parameters()).device)).float().cpu()
        return Outputs(logits.clone(), features, slopes)

    def _stream(self, images: Images, title: str, until: float = math.inf) -> Iterator[tuple[Tensor, Tensor]]:
        """(n, D) features and (n, 3) slopes, some hundred at a time."""
        if until == math.inf and len(images) and (runner := row_jobs.runner()) is not None:
            parts = self._computed_by(runner, images, title)
        else:
            parts = self._computed_here(images, title, until)
        for rows in parts:
            yield rows[:, : -self._slopes], rows[:, -self._slopes :]

    def _computed_here(self, images: Images, title: str, until: float) -> Iterator[Tensor]:
        with Bar(title, len(images)) as bar:
            for start in range(0, max(1, len(images)), CHUNK_PICTURES):
                chunk = images[start : start + CHUNK_PICTURES]
                yield self._rows(chunk, compute=start == 0 or time.monotonic() < until)
                bar.advance(len(chunk))

    def _computed_by(self, runner: row_jobs.JobRunner, images: Images, title: str) -> Iterator[Tensor]:
        ranges = row_jobs.ranges(len(images))
        identity = {"embedder": self.facts(), **row_jobs.identity_of(images)}
        accept = row_jobs.adopting_reasons(images)
        for result in runner.results(_embedding_job, (replace(self), images), ranges, identity, title, accept):
            yield torch.from_numpy(result["rows"])

    @cached_property
    def _slopes(self) -> int:
        return spectral_slopes(torch.zeros(1, 3, self.size, self.size)).shape[1]

    @cached_property
    def _width(self) -> int:
        """Numbers in a row of the feature cache."""
        return self._computed(Images.from_arrays(np.zeros((1, self.size, self.size, 3), np.uint8))).shape[1]

    def _rows(self, images: Images, *, compute: bool) -> Tensor:
        """(N, D + 3) features and slopes, from the cache or computed; NaN where neither."""
        if self._cache is None or not len(images):
            return self._computed(images) if compute else torch.full((len(images), self._width), torch.nan)
        digests = images.store.content_digests()
        known, present = self._cache.get(digests)
        if present.all():
            return known
        rows = torch.full((len(images), self._width), torch.nan)
        if compute:
            computed = self._computed(images[~present])
            self._cache.add(digests[~present], computed)
            rows[torch.from_numpy(~present)] = computed
        if present.any():
            rows[torch.from_numpy(present)] = known
        return rows

    def _computed(self, images: Images) -> Tensor:
        def forward(pictures: Tensor) -> Tensor:
            return torch.cat([self.network.features(pictures).float(), spectral_slopes(pictures)], 1)

        return torch.cat(list(run_in_chunks(self.network, forward, images, self.size, "")))


def _embedding_job(shared: tuple[Embedder, Images], rows: range) -> row_jobs.Result:
    embedder, images = shared
    part = row_jobs.part_of(images, rows)
    return {"rows": embedder._rows(part, compute=True).numpy(), "reasons": row_jobs.reasons_of(part)}
