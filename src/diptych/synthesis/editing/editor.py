"""Editing pictures with a fitted synthesizer: reconstruct, interpolate, traverse, inpaint, blend and restyle."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.transforms import to_float, to_uint8
from diptych.errors import DataError, UsageError
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY
from diptych.synthesis.editing import latents as latent_space
from diptych.synthesis.editing.compositing import compose, hole_masks, multiband_blend
from diptych.synthesis.model import SynthesisModel
from diptych.synthesis.protocols import Label
from diptych.synthesis.sampling import seeding

CANDIDATES = 128  # random latents that are compared with a target before it is inverted
STARTS = 3  # of these, the best ones, from which the inversion begins
MAX_REACH = 100  # standard deviations
DIRECTION_SAMPLES = 256  # generated pictures from which principal directions are computed

Mask = Images | NDArray[np.bool_]


class Editor(SynthesisModel):
    """Edits of a person's own pictures; every result records its source.

    The model takes the pictures as in training: their largest centred square, at the model's size. The results have
    ``origins``: "synthetic" where all of a picture is generated, "composite" where it is part real and part generated;
    and a group "source" that names the pictures that they come from.
    """

    spherical: ClassVar[bool] = True  # whether latents are normal noise, which is interpolated along arcs

    def encode(self, images: Images) -> Tensor:
        """The latents (N, D) of pictures, from which :meth:`decode` approximately restores them.

        A VAE has an encoder for this, a flow integrates its equation backwards, and a GAN searches by gradient descent
        for the latents whose pictures are nearest. Labels are matched to the model's classes by name; a picture without
        a label is encoded without one (a conditional GAN needs one).
        """
        pixels, labels = self._pixels_and_labels(images, None)
        return self._run(self._encode, pixels, labels)

    def decode(self, latents: Tensor, *, label: Label | Sequence[Label] | None = None) -> Images:
        """Pictures of latents (N, D).

        Parameters
        ----------
        label
            Of all of them, or one each. None: without a label (a conditional GAN needs one).
        """
        self._check_fitted()
        if latents.ndim != 2 or latents.shape[1] != self._latent_length():
            raise UsageError(f"Latents of this model are (N, {self._latent_length()}), not {tuple(latents.shape)}.")
        if label is None or isinstance(label, str | int | np.integer):
            label = [-1 if label is None else label] * len(latents)
        labels = np.array([-1 if one == -1 else self.class_number(one) for one in label], np.int64)
        self._require_labels(labels)
        if len(labels) != len(latents):
            raise UsageError(f"Give one label, or one for each latent: {len(latents)} latents, {len(labels)} labels.")
        pixels = self._run(self._decoded, latents.float().cpu(), labels)
        return self._images(pixels, labels, [f"{self.kind}#decoded-{i}" for i in range(len(latents))])

    def reconstruct(self, images: Images, *, label: Label | None = None) -> Images:
        """Encode pictures and decode them again: shows what the model can represent, and what it cannot.

        Parameters
        ----------
        label
            What all of them show. None: their own labels.
        """
        pixels, labels = self._pixels_and_labels(images, label)
        decoded = self._run(self._decoded, self._run(self._encode, pixels, labels), labels)
        return self._edited_images("reconstructed", decoded, labels, "synthetic", {"source": images.paths})

    def interpolate(self, first: Images, second: Images, *, steps: int = 8, label: Label | None = None) -> Images:
        """Pictures between two others: ``steps`` for each pair, including the reconstructions of both ends.

        On the great circle where latents are normal noise, else on the straight line; the class changes with them.
        The group "position" goes from 0 to 1.
        """
        if len(first) != len(second):
            raise UsageError(
                f"Interpolation pairs pictures one to one: {len(first)} cannot be paired with {len(second)}."
            )
        if steps < 2:
            raise UsageError(f"Interpolation needs at least 2 steps, not {steps}.")
        pixels, labels = self._pixels_and_labels(first, label)
        end_pixels, end_labels = self._pixels_and_labels(second, label)
        positions = torch.linspace(0, 1, steps)
        a, b = self._run(self._encode, pixels, labels), self._run(self._encode, end_pixels, end_labels)
        latents = latent_space.interpolate_latents(a, b, positions, spherical=self.spherical).flatten(0, 1)
        every_position = np.tile(positions.numpy(), len(first))
        labels, end_labels = labels.repeat(steps), end_labels.repeat(steps)
        weights = self._interpolate_labels(labels, end_labels, every_position)
        decoded = self._map_rows(lambda rows, device: self._decode_rows(latents, weights, rows, device), len(latents))
        nearer = np.where(every_position < 0.5, labels, end_labels)
        source = [f"{one} + {two}" for one, two in zip(first.paths, second.paths, strict=True)]
        rounded = np.tile(positions.double().numpy().round(4), len(first))
        groups = {"source": np.repeat(source, steps), "position": rounded}
        return self._edited_images("interpolated", decoded, nearer, "synthetic", groups)

    def traverse(
        self, images: Images, *, directions: int = 6, steps: int = 7, reach: float = 3.0, label: Label | None = None
    ) -> Images:
        """Move pictures along directions of latent space: for each picture, ``directions`` rows of ``steps`` pictures.

        A VAE's directions are the latents with the most information about these pictures; a GAN's and a flow's are
        those along which their samples differ most. The middle of an odd number of steps is the reconstruction of the
        picture itself; the groups "direction" and "offset" say how far from it each is.

        Parameters
        ----------
        reach
            How far to go, in standard deviations of the prior.
        """
        if directions < 1 or steps < 2 or not 0 < reach <= MAX_REACH:
            raise UsageError(f"Traversal: 1 direction or more, 2 steps or more, a reach above 0, up to {MAX_REACH}.")
        pixels, labels = self._pixels_and_labels(images, label)
        latents = self._run(self._encode, pixels, labels)
        axes = self._directions(pixels, labels, min(directions, self._latent_length()))
        offsets = torch.linspace(-reach, reach, steps)
        moved = (latents[:, None, None] + offsets[:, None] * axes[:, None]).flatten(0, 2)
        per_picture = len(axes) * steps
        decoded = self._run(self._decoded, moved, labels.repeat(per_picture))
        groups = {
            "source": np.repeat(images.paths, per_picture),
            "direction": np.tile(np.repeat(np.arange(len(axes)), steps), len(images)),
            "offset": np.tile(offsets.double().numpy().round(4), len(axes) * len(images)),
        }
        return self._edited_images("traversed", decoded, labels.repeat(per_picture), "synthetic", groups)

    def inpaint(self, images: Images, mask: Mask, *, label: Label | None = None, seed: int = 0) -> Images:
        """Generate the part that a mask hides; every other pixel stays exactly as the model was given it.

        Parameters
        ----------
        mask
            One for all pictures, or one each: pictures, white where something is to be generated; or arrays (H, W) or
            (N, H, W) of bool. Of their pictures' size, or of the model's.
        seed
            Another seed may give another result; picture i depends on ``seed + i``.
        """
        pixels, labels = self._pixels_and_labels(images, label)
        hole = hole_masks(mask, images, self.size_)
        seeds = self._seeds(seed, len(images))

        def fill_rows(rows: Tensor, device: torch.device) -> Tensor:
            original, row_holes = to_float(pixels[rows]).to(device), hole[rows].to(device)
            start = compose(torch.zeros_like(original), original, row_holes)
            row_labels = torch.from_numpy(labels[rows]).to(device)
            filled = self._fill_holes(start, row_holes, row_labels, [seeds[row] for row in rows])
            return to_uint8(compose(filled, original, row_holes))

        filled = self._map_rows(fill_rows, len(images))
        composed = torch.where(hole, filled, pixels)
        return self._edited_images("inpainted", composed, labels, _origins(images, hole), {"source": images.paths})

    def blend(
        self,
        images: Images,
        others: Images | None = None,
        *,
        mask: Mask | None = None,
        label: Label | None = None,
        seed: int = 0,
    ) -> Images:
        """Two pictures in one, with a seam that does not show: the other where the mask is white.

        Parameters
        ----------
        others
            As many pictures. None: samples of the same classes, of ``seed + i``.
        mask
            As in :meth:`inpaint`. None: the right half.
        label
            The class of the samples.
        """
        self._check_fitted()
        if others is not None and len(others) != len(images):
            raise UsageError(f"Blending pairs pictures one to one: {len(images)} cannot be paired with {len(others)}.")
        labels = self._match_or_number(images, label)
        seeds = self._seeds(seed, len(images))
        if others is None:
            sampled = np.where(labels < 0, self.sample_labels(seeds, None), labels)
            others = self._images(self.sample_pixels(seeds, sampled), sampled, [f"{self.kind}#{s}" for s in seeds])
        pixels, second = images.pixels(self.size_, GEOMETRY), others.pixels(self.size_, GEOMETRY)
        right_half = np.broadcast_to(np.arange(self.size_) >= self.size_ // 2, (self.size_, self.size_))
        weight = hole_masks(right_half if mask is None else mask, images, self.size_)
        blended = to_uint8(multiband_blend(to_float(pixels), to_float(second), weight.float()))
        source = np.array([f"{one} + {two}" for one, two in zip(images.paths, others.paths, strict=True)])
        synthetic = (np.asarray(images.origins) == "synthetic") & (np.asarray(others.origins) == "synthetic")
        origins = np.where(synthetic, "synthetic", "composite")
        return self._edited_images("blended", blended, labels, origins, {"source": source})

    def restyle(self, images: Images, label: Label, *, strength: float = 1.0, own: Label | None = None) -> Images:
        """Move pictures towards another class, keeping as much of their content as the model can.

        Parameters
        ----------
        label
            The class to move to.
        strength
            0 gives the pictures themselves, 1 the full change.
        own
            What all of them show. None: their own labels.
        """
        self._check_fitted()
        number = self.class_number(label)
        if not 0 <= strength <= 1:
            raise UsageError(f"The strength is from 0 to 1, not {strength}.")
        pixels, labels = self._pixels_and_labels(images, own)
        new_labels = np.full(len(images), number, np.int64)
        groups = {"source": images.paths, "strength": np.full(len(images), float(strength))}
        if strength == 0:
            return self._edited_images("restyled", pixels, labels, images.origins, groups)
        restyled = self._restyle(pixels, labels, new_labels, strength)
        return self._edited_images("restyled", restyled, new_labels, "synthetic", groups)

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
        if not 0 <= seed < seeding.MAX_SEED:
            raise UsageError(f"The seed is from 0 to 2⁶² − 1, not {seed}.")
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


def _origins(images: Images, hole: Tensor) -> NDArray[np.str_]:
    """Of inpainted pictures: unchanged where nothing is generated, "synthetic" where all of it is, else "composite"."""
    generated = hole.flatten(1).float().mean(dim=1).numpy()  # share of the picture
    synthetic = (generated == 1) | ((generated > 0) & (np.asarray(images.origins) == "synthetic"))
    partly = np.where(generated > 0, "composite", images.origins)
    return np.where(synthetic, "synthetic", partly)
