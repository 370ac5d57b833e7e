"""What a fitted synthesizer does with a person's pictures: makes them again, completes them, changes them."""

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
from diptych.synthesis.editing import latents as ways
from diptych.synthesis.editing.compositing import compose, hole_masks, multiband_blend
from diptych.synthesis.model import SynthesisModel
from diptych.synthesis.protocols import Label
from diptych.synthesis.sampling import seeding

CANDIDATES, TRIED = 128, 3  # latents that are looked at before a search, and how many of them it begins from
COMPARED = 256  # made pictures that principal directions are found from

Mask = Images | NDArray[np.bool_]


class Editor(SynthesisModel):
    """Pictures of a person's own, made again, completed and changed; every one says what it comes from.

    The pictures that are given are seen as in training: their largest centred square, at the model's size. Those that
    come back have ``origins``: "synthetic" where all of it is made, "composite" where it is part real and part made;
    and a group "source" that names what they were made from.
    """

    spherical: ClassVar[bool] = True  # whether latents are normal noise, of which the ways between are arcs

    def encode(self, images: Images) -> Tensor:
        """The latents (N, D) of pictures, of which :meth:`decode` makes them again, nearly.

        A VAE has an encoder for this, a flow runs its equation backwards, and a GAN searches by gradient descent for
        the latents whose pictures are nearest. Labels are matched to the model's classes by name; a picture without one
        is encoded without (a conditional GAN needs one).
        """
        pixels, labels = self._given(images, None)
        return self._run(self._encode, pixels, labels)

    def decode(self, latents: Tensor, *, label: Label | Sequence[Label] | None = None) -> Images:
        """Pictures of latents (N, D).

        Parameters
        ----------
        label
            Of all of them, or one each. None: without (a conditional GAN needs one).
        """
        self._check_fitted()
        if latents.ndim != 2 or latents.shape[1] != self._latent_length():
            raise UsageError(f"Latents of this model are (N, {self._latent_length()}), not {tuple(latents.shape)}.")
        if label is None or isinstance(label, str | int | np.integer):
            label = [-1 if label is None else label] * len(latents)
        labels = np.array([-1 if told == -1 else self.class_number(told) for told in label], np.int64)
        self._enough_labels(labels)
        if len(labels) != len(latents):
            raise UsageError(f"{len(latents)} latents need one label, or as many, not {len(labels)}.")
        decoded = self._run(self._decoded, latents.float().cpu(), labels)
        return self._images(decoded, labels, [f"{self.kind}#decoded-{i}" for i in range(len(latents))])

    def reconstruct(self, images: Images, *, label: Label | None = None) -> Images:
        """Encode pictures and decode them again: what the model can say of them, and what it cannot.

        Parameters
        ----------
        label
            What all of them show. None: their own labels.
        """
        pixels, labels = self._given(images, label)
        made = self._run(self._decoded, self._run(self._encode, pixels, labels), labels)
        return self._edited("reconstructed", made, labels, "synthetic", {"source": images.paths})

    def interpolate(self, first: Images, second: Images, *, steps: int = 8, label: Label | None = None) -> Images:
        """Pictures on the way from one to another: ``steps`` for each pair, with both ends as the model sees them.

        On the great circle where latents are normal noise, else on the straight line; the class changes with them.
        The group "position" goes from 0 to 1.
        """
        if len(first) != len(second):
            raise UsageError(f"Each picture goes to one other: {len(first)} cannot be paired with {len(second)}.")
        if steps < 2:
            raise UsageError(f"Interpolating takes 2 steps or more, not {steps}.")
        (pixels, labels), (others, ends) = self._given(first, label), self._given(second, label)
        way = torch.linspace(0, 1, steps)
        a, b = self._run(self._encode, pixels, labels), self._run(self._encode, others, ends)
        latents = ways.interpolate_latents(a, b, way, spherical=self.spherical).flatten(0, 1)
        told = self._mixed(labels.repeat(steps), ends.repeat(steps), np.tile(way.numpy(), len(first)))
        made = self._each(lambda rows, device: self._drawn(latents, told, rows, device), len(latents))
        nearer = np.where(np.tile(way.numpy(), len(first)) < 0.5, labels.repeat(steps), ends.repeat(steps))
        source = [f"{one} + {two}" for one, two in zip(first.paths, second.paths, strict=True)]
        about = {"source": np.repeat(source, steps), "position": np.tile(way.double().numpy().round(4), len(first))}
        return self._edited("interpolated", made, nearer, "synthetic", about)

    def traverse(
        self, images: Images, *, directions: int = 6, steps: int = 7, reach: float = 3.0, label: Label | None = None
    ) -> Images:
        """What single directions of latent space do to pictures: for each, ``directions`` rows of ``steps`` pictures.

        A VAE's directions are the latents that tell most about these pictures; a GAN's and a flow's are those along
        which what they make differs most. The middle of an odd number of steps is the picture itself, as the model
        sees it; the groups "direction" and "offset" say how far from it each is.

        Parameters
        ----------
        reach
            How far to go, in standard deviations of the prior.
        """
        if directions < 1 or steps < 2 or reach <= 0:
            raise UsageError("Traversing takes a direction or more, 2 steps or more, and a reach above 0.")
        pixels, labels = self._given(images, label)
        latents = self._run(self._encode, pixels, labels)
        along = self._directions(pixels, labels, min(directions, self._latent_length()))
        offsets = torch.linspace(-reach, reach, steps)
        moved = (latents[:, None, None] + offsets[:, None] * along[:, None]).flatten(0, 2)
        many = len(along) * steps
        made = self._run(self._decoded, moved, labels.repeat(many))
        about = {
            "source": np.repeat(images.paths, many),
            "direction": np.tile(np.repeat(np.arange(len(along)), steps), len(images)),
            "offset": np.tile(offsets.double().numpy().round(4), len(along) * len(images)),
        }
        return self._edited("traversed", made, labels.repeat(many), "synthetic", about)

    def inpaint(self, images: Images, mask: Mask, *, label: Label | None = None, seed: int = 0) -> Images:
        """Make anew what a mask hides; every other pixel stays exactly as the model was given it.

        Parameters
        ----------
        mask
            One for all pictures, or one each: pictures, white where something is to be made; or arrays (H, W) or
            (N, H, W) of bool. Of their pictures' size, or of the model's.
        seed
            Another one may give another answer; picture i depends on ``seed + i``.
        """
        pixels, labels = self._given(images, label)
        hole = hole_masks(mask, images, self.size_)
        seeds = self._seeds(seed, len(images))

        def work(rows: Tensor, device: torch.device) -> Tensor:
            given, gap = to_float(pixels[rows]).to(device), hole[rows].to(device)
            start = compose(torch.zeros_like(given), given, gap)
            made = self._fill(start, gap, torch.from_numpy(labels[rows]).to(device), [seeds[row] for row in rows])
            return to_uint8(compose(made, given, gap))

        made = self._each(work, len(images))
        made = torch.where(hole, made, pixels)
        return self._edited("inpainted", made, labels, _origins(images, hole), {"source": images.paths})

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
            As many pictures. None: made ones of the same classes, of ``seed + i``.
        mask
            As in :meth:`inpaint`. None: the right half.
        label
            The class of the made ones.
        """
        self._check_fitted()
        if others is not None and len(others) != len(images):
            raise UsageError(f"Blending takes as many pictures on both sides, not {len(images)} and {len(others)}.")
        labels = self._told(images, label)
        seeds = self._seeds(seed, len(images))
        if others is None:
            told = np.where(labels < 0, self.sample_labels(seeds, None), labels)
            others = self._images(self.sample_pixels(seeds, told), told, [f"{self.kind}#{s}" for s in seeds])
        pixels, second = images.pixels(self.size_, GEOMETRY), others.pixels(self.size_, GEOMETRY)
        right = np.broadcast_to(np.arange(self.size_) >= self.size_ // 2, (self.size_, self.size_))
        share = hole_masks(right if mask is None else mask, images, self.size_)
        made = to_uint8(multiband_blend(to_float(pixels), to_float(second), share.float()))
        source = [f"{one} + {two}" for one, two in zip(images.paths, others.paths, strict=True)]
        made_up = (np.asarray(images.origins) == "synthetic") & (np.asarray(others.origins) == "synthetic")
        return self._edited(
            "blended", made, labels, np.where(made_up, "synthetic", "composite"), {"source": np.array(source)}
        )

    def restyle(self, images: Images, label: Label, *, strength: float = 1.0, own: Label | None = None) -> Images:
        """Pictures turned towards another class, with as much of what they are as the model can keep.

        Parameters
        ----------
        label
            The class to turn to.
        strength
            0 gives the pictures themselves, 1 all that the model can do.
        own
            What all of them show. None: their own labels.
        """
        self._check_fitted()
        other = self.class_number(label)
        if not 0 <= strength <= 1:
            raise UsageError(f"The strength is from 0 to 1, not {strength}.")
        pixels, labels = self._given(images, own)
        told = np.full(len(images), other, np.int64)
        made = pixels if strength == 0 else self._restyled(pixels, labels, told, strength)
        origins = images.origins if strength == 0 else "synthetic"
        about = {"source": images.paths, "strength": np.full(len(images), float(strength))}
        return self._edited("restyled", made, labels if strength == 0 else told, origins, about)

    # What a method may do in its own way; as it stands, what a GAN does.

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) uint8 to latents (B, D)."""
        target = to_float(pixels)
        return self._search(target, torch.ones_like(target[:, :1]), labels, [0] * len(pixels))

    def _fill(self, pictures: Tensor, hole: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """Pictures (B, 3, S, S) in -1..1 with what the model puts into the hole (B, 1, S, S)."""
        latents = self._search(pictures, (~hole).float(), labels, seeds)
        return self._decode(self.modules_, latents, labels)

    def _directions(self, pixels: Tensor, labels: NDArray[np.int64], count: int) -> Tensor:
        """Directions in latent space (count, D) of length 1, those that matter most first.

        The principal components of what is made of random latents, brought back to the latents by regression
        (Härkönen et al. 2020, "GANSpace", section 3.1, with the picture itself for the layer).
        """
        noise, made = self._some_made(labels)
        scores = ways.principal_components(made, count)
        return ways.orthonormal(scores @ (noise - noise.mean(dim=0)))

    def _restyled(
        self, pixels: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float
    ) -> Tensor:
        """Pixels (N, 3, S, S) uint8 of one class to those of another: encoded with the one, decoded with the other."""
        latents = self._turned(self._run(self._encode, pixels, labels), labels, others, strength)
        told = self._mixed(labels, others, np.full(len(pixels), strength))
        return self._each(lambda rows, device: self._drawn(latents, told, rows, device), len(pixels))

    def _turned(self, latents: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float) -> Tensor:
        """Latents (N, D) of one class as those of another: the same, where they do not know of classes."""
        return latents

    # What they share.

    def _search(self, target: Tensor, seen: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """The latents (B, D) of what is nearest to the targets where they are seen, begun from the best of many."""
        starts = torch.empty(TRIED, len(target), self._latent_length(), device=target.device)
        for i, seed in enumerate(seeds):
            some = seeding.seeded_noise(range(seed, seed + CANDIDATES), (self._latent_length(),)).to(target.device)
            made = self._decode(self.modules_, some, labels[i].expand(CANDIDATES))
            starts[:, i] = some[ways.closest_pictures(made, target[i : i + 1], seen[i : i + 1], TRIED)[:, 0]]
        return ways.invert(lambda latents: self._decode(self.modules_, latents, labels), target, seen, starts)

    def _some_made(self, labels: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Noise (M, D), and pictures (M, 3, S, S) in -1..1 made of it, of the classes given."""
        noise = seeding.seeded_noise(range(COMPARED), (self._latent_length(),))
        told = labels[np.arange(COMPARED) % len(labels)]
        pictures = self._run(lambda some, asked: self._decode(self.modules_, some, asked), noise, told)
        for label in np.unique(told):  # what tells the classes apart is not a direction within them
            pictures[told == label] -= pictures[told == label].mean(dim=0)
        return noise, pictures

    def _given(self, images: Images, label: Label | None) -> tuple[Tensor, NDArray[np.int64]]:
        """The pixels (N, 3, S, S) that the model sees, and the number of the class of each, or -1."""
        self._check_fitted()
        if not len(images):
            raise DataError("There is no picture to work on.")
        labels = self._told(images, label)
        self._enough_labels(labels)
        return images.pixels(self.size_, GEOMETRY), labels

    def _told(self, images: Images, label: Label | None) -> NDArray[np.int64]:
        if label is None:
            return datasets.match_labels(images, self.classes_)
        return np.full(len(images), self.class_number(label), np.int64)

    def _enough_labels(self, labels: NDArray[np.int64]) -> None:
        if self.needs_label and self.classes_ and (labels < 0).any():
            raise UsageError(f"This {self.kind} needs a label for each picture: {', '.join(self.classes_[:20])}.")

    def _seeds(self, seed: int, count: int) -> list[int]:
        if not 0 <= seed < seeding.MAX_SEED:
            raise UsageError(f"The seed is from 0 to 2⁶² − 1, not {seed}.")
        return list(range(seed, seed + count))

    def _each(self, work: Callable[[Tensor, torch.device], Tensor], count: int) -> Tensor:
        """Run ``work(rows, device)`` over the rows 0 … count − 1, in batches of the model's own size."""

        def run(rows: Tensor, _: Tensor) -> Tensor:
            return work(rows.cpu(), rows.device)

        return self._run(run, torch.arange(count), np.zeros(count, np.int64))

    def _mixed(self, labels: NDArray[np.int64], others: NDArray[np.int64], way: NDArray[Any]) -> Tensor:
        """Labels on the way from one class to another: (N, classes + 1) shares; numbers where there are no classes."""
        if not self.classes_:
            return torch.from_numpy(labels)
        first, second = (ways.class_weights(torch.from_numpy(some), len(self.classes_)) for some in (labels, others))
        return first + torch.from_numpy(way).float()[:, None] * (second - first)

    def _drawn(self, latents: Tensor, labels: Tensor, rows: Tensor, device: torch.device) -> Tensor:
        return self._decoded(latents[rows].to(device), labels[rows].to(device))

    def _edited(
        self,
        how: str,
        pixels: Tensor,
        labels: NDArray[np.int64],
        origins: str | NDArray[np.str_],
        groups: Mapping[str, Any],
    ) -> Images:
        paths = [f"{self.kind}#{how}-{i}" for i in range(len(pixels))]
        return self._images(pixels, labels, paths, origins, groups)


def _origins(images: Images, hole: Tensor) -> NDArray[np.str_]:
    """Of pictures completed: what they were where nothing is made, "synthetic" where all of it is."""
    made = hole.flatten(1).float().mean(dim=1).numpy()
    all_made = (made == 1) | ((made > 0) & (np.asarray(images.origins) == "synthetic"))
    part = np.where(made > 0, "composite", images.origins)
    return np.where(all_made, "synthetic", part)
