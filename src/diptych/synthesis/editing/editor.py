"""Editing pictures with a fitted synthesizer: reconstruct, interpolate, traverse, inpaint, blend and restyle."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images, ImagesLike
from diptych.data.transforms import to_float, to_uint8
from diptych.errors import UsageError
from diptych.settings import number, numbers, whole
from diptych.synthesis.datasets import GEOMETRY
from diptych.synthesis.editing import latents as latent_space
from diptych.synthesis.editing.compositing import compose, multiband_blend
from diptych.synthesis.editing.masks import hole_masks
from diptych.synthesis.editing.steps import EditingSteps
from diptych.synthesis.protocols import Label
from diptych.synthesis.sampling.seeding import SEED

MIN_REACH, MAX_REACH = 0.001, 100  # standard deviations

Mask = ImagesLike | NDArray[np.bool_]


class Editor(EditingSteps):
    """Edits of a person's own pictures; every result records its source.

    The model takes the pictures as in training: their largest centred square, at the model's size. The results have
    ``origins``: "synthetic" where all of a picture is generated, "composite" where it is part real and part generated;
    and a group "source" that names the pictures that they come from.
    """

    def encode(self, images: ImagesLike) -> Tensor:
        """The latents (N, D) of pictures, from which :meth:`decode` approximately restores them.

        A VAE has an encoder for this, a flow integrates its equation backwards, and a GAN searches by gradient descent
        for the latents whose pictures are nearest. Labels are matched to the model's classes by name; a picture without
        a label is encoded without one (a conditional GAN needs one).
        """
        pixels, labels = self._pixels_and_labels(Images.of(images), None)
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

    def reconstruct(self, images: ImagesLike, *, label: Label | None = None) -> Images:
        """Encode pictures and decode them again: shows what the model can represent, and what it cannot.

        Parameters
        ----------
        label
            What all of them show. None: their own labels.
        """
        images = Images.of(images)
        pixels, labels = self._pixels_and_labels(images, label)
        decoded = self._run(self._decoded, self._run(self._encode, pixels, labels), labels)
        return self._edited_images("reconstructed", decoded, labels, "synthetic", {"source": images.paths})

    @numbers(steps=whole(2))
    def interpolate(
        self, first: ImagesLike, second: ImagesLike, *, steps: int = 8, label: Label | None = None
    ) -> Images:
        """Pictures between two others: ``steps`` for each pair, including the reconstructions of both ends.

        On the great circle where latents are normal noise, else on the straight line; the class changes with them.
        The group "position" goes from 0 to 1.
        """
        first, second = Images.of(first), Images.of(second)
        if len(first) != len(second):
            raise UsageError(
                f"Interpolation pairs pictures one to one: {len(first)} cannot be paired with {len(second)}."
            )
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

    @numbers(directions=whole(1), steps=whole(2), reach=number(MIN_REACH, MAX_REACH))
    def traverse(
        self, images: ImagesLike, *, directions: int = 6, steps: int = 7, reach: float = 3.0, label: Label | None = None
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
        images = Images.of(images)
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

    @numbers(seed=SEED)
    def inpaint(self, images: ImagesLike, mask: Mask, *, label: Label | None = None, seed: int = 0) -> Images:
        """Generate the part that a mask hides; every other pixel stays exactly as the model was given it.

        Parameters
        ----------
        mask
            One for all pictures, or one each: pictures, white where something is to be generated; or arrays (H, W) or
            (N, H, W) of bool, true there. Of their pictures' size, or of the model's.
        seed
            Another seed may give another result; picture i depends on ``seed + i``.
        """
        images = Images.of(images)
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

    @numbers(seed=SEED)
    def blend(
        self,
        images: ImagesLike,
        others: ImagesLike | None = None,
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
        images, others = Images.of(images), None if others is None else Images.of(others)
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

    @numbers(strength=number(0, 1))
    def restyle(self, images: ImagesLike, label: Label, *, strength: float = 1.0, own: Label | None = None) -> Images:
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
        images = Images.of(images)
        pixels, labels = self._pixels_and_labels(images, own)
        new_labels = np.full(len(images), number, np.int64)
        groups = {"source": images.paths, "strength": np.full(len(images), float(strength))}
        if strength == 0:
            return self._edited_images("restyled", pixels, labels, images.origins, groups)
        restyled = self._restyle(pixels, labels, new_labels, strength)
        return self._edited_images("restyled", restyled, new_labels, "synthetic", groups)


def _origins(images: Images, hole: Tensor) -> NDArray[np.str_]:
    """Of inpainted pictures: unchanged where nothing is generated, "synthetic" where all of it is, else "composite"."""
    generated = hole.flatten(1).float().mean(dim=1).numpy()  # share of the picture
    synthetic = (generated == 1) | ((generated > 0) & (np.asarray(images.origins) == "synthetic"))
    partly = np.where(generated > 0, "composite", images.origins)
    return np.where(synthetic, "synthetic", partly)
