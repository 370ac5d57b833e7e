"""The steps that edits are made of; a synthesizer may override the first of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.errors import DataError, UsageError
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY
from diptych.synthesis.editing import latents as latent_space
from diptych.synthesis.model import SynthesisModel
from diptych.synthesis.protocols import Label
from diptych.synthesis.sampling import seeding

CANDIDATES = 128  # random latents that are compared with a target before it is inverted
STARTS = 3  # of these, the best ones, from which the inversion begins
DIRECTION_SAMPLES = 256  # generated pictures from which principal directions are computed


class EditingSteps(SynthesisModel):
    """Encoding, inversion, directions and filling of holes, without which there are no edits."""

    spherical: ClassVar[bool] = True  # whether latents are normal noise, which is interpolated along arcs

    # Steps that a synthesizer may override; these are the GAN's.

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) uint8 to latents (B, D)."""
        target = to_float(pixels)
        return self._invert(target, torch.ones_like(target[:, :1]), labels, [0] * len(pixels))

    def _fill_holes(self, pictures: Tensor, hole: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """Pictures (B, 3, S, S) in -1..1 with generated content in the hole (B, 1, S, S)."""
        latents = self._invert(pictures, (~hole).float(), labels, seeds)
        return self._decode(self.modules_, latents, labels)

    def _directions(self, pixels: Tensor, labels: NDArray[np.int64], count: int) -> Tensor:
        """Directions in latent space (count, D) of length 1, in order of importance.

        The principal components of pictures of random latents, mapped back to the latents by regression
        (Härkönen et al. 2020, "GANSpace", section 3.1, with the picture itself for the layer).
        """
        noise, pictures = self._centred_samples(labels)
        scores = latent_space.principal_components(pictures, count)
        return latent_space.orthonormal(scores @ (noise - noise.mean(dim=0)))

    def _restyle(self, pixels: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float) -> Tensor:
        """Pixels (N, 3, S, S) uint8 of one class to those of another: encoded with the one, decoded with the other."""
        latents = self._shift_latents(self._run(self._encode, pixels, labels), labels, others, strength)
        weights = self._interpolate_labels(labels, others, np.full(len(pixels), strength))
        return self._map_rows(lambda rows, device: self._decode_rows(latents, weights, rows, device), len(pixels))

    def _shift_latents(
        self, latents: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float
    ) -> Tensor:
        """Latents (N, D) of one class as those of another: unchanged where latents do not depend on the class."""
        return latents

    # Shared steps.

    def _invert(self, target: Tensor, pixel_weights: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """The latents (B, D) of the pictures nearest to the targets at the weighted pixels."""
        starts = torch.empty(STARTS, len(target), self._latent_length(), device=target.device)
        for i, seed in enumerate(seeds):
            candidates = seeding.seeded_noise(range(seed, seed + CANDIDATES), (self._latent_length(),))
            candidates = candidates.to(target.device)
            pictures = self._decode(self.modules_, candidates, labels[i].expand(CANDIDATES))
            row = slice(i, i + 1)
            closest = latent_space.closest_pictures(pictures, target[row], pixel_weights[row], STARTS)
            starts[:, i] = candidates[closest[:, 0]]
        return latent_space.invert(
            lambda latents: self._decode(self.modules_, latents, labels), target, pixel_weights, starts
        )

    def _centred_samples(self, labels: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Noise (M, D), and its pictures (M, 3, S, S) in -1..1 of these classes, less the mean of their class."""
        noise = seeding.seeded_noise(range(DIRECTION_SAMPLES), (self._latent_length(),))
        sampled = labels[np.arange(DIRECTION_SAMPLES) % len(labels)]
        pictures = self._run(lambda latents, numbers: self._decode(self.modules_, latents, numbers), noise, sampled)
        for label in np.unique(sampled):  # the difference between classes is not a direction within them
            pictures[sampled == label] -= pictures[sampled == label].mean(dim=0)
        return noise, pictures

    def _pixels_and_labels(self, images: Images, label: Label | None) -> tuple[Tensor, NDArray[np.int64]]:
        """The pixels (N, 3, S, S) at the model's size, and the class number of each picture, or -1."""
        self._check_fitted()
        if not len(images):
            raise DataError("There is no picture to work on.")
        labels = self._match_or_number(images, label)
        self._require_labels(labels)
        return images.pixels(self.size_, GEOMETRY), labels

    def _match_or_number(self, images: Images, label: Label | None) -> NDArray[np.int64]:
        """The number of ``label`` for each picture; None: of the pictures' own labels."""
        if label is None:
            return datasets.match_labels(images, self.classes_)
        return np.full(len(images), self.class_number(label), np.int64)

    def _require_labels(self, labels: NDArray[np.int64]) -> None:
        if self.needs_label and self.classes_ and (labels < 0).any():
            raise UsageError(f"This {self.kind} needs a label for each picture: {', '.join(self.classes_[:20])}.")

    def _seeds(self, seed: int, count: int) -> list[int]:
        return list(range(seed, seed + count))

    def _map_rows(self, function: Callable[[Tensor, torch.device], Tensor], count: int) -> Tensor:
        """Run ``function(rows, device)`` over the rows 0 … count − 1, in batches of the model's own size."""

        def run(rows: Tensor, _: Tensor) -> Tensor:
            return function(rows.cpu(), rows.device)

        return self._run(run, torch.arange(count), np.zeros(count, np.int64))

    def _interpolate_labels(
        self, labels: NDArray[np.int64], others: NDArray[np.int64], positions: NDArray[Any]
    ) -> Tensor:
        """Class weights (N, classes + 1) between two classes; the labels' numbers where the model has no classes."""
        if not self.classes_:
            return torch.from_numpy(labels)
        first, second = (
            latent_space.class_weights(torch.from_numpy(numbers), len(self.classes_)) for numbers in (labels, others)
        )
        return first + torch.from_numpy(positions).float()[:, None] * (second - first)

    def _decode_rows(self, latents: Tensor, labels: Tensor, rows: Tensor, device: torch.device) -> Tensor:
        return self._decoded(latents[rows].to(device), labels[rows].to(device))

    def _edited_images(
        self,
        edit: str,
        pixels: Tensor,
        labels: NDArray[np.int64],
        origins: str | NDArray[np.str_],
        groups: Mapping[str, Any],
    ) -> Images:
        paths = [f"{self.kind}#{edit}-{i}" for i in range(len(pixels))]
        return self._images(pixels, labels, paths, origins, groups)
