"""Properties of a picture that a recognizer should not need: light, colour, border, background, corners, metadata.

None of them looks at the middle of a picture alone, where its subject is. Corners are described by the first layers of
the built-in backbone: they show a mark, a logo or a line of text there that colours and brightness do not, and see too
little at once to recognise a subject.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.audit.bias.groups import MAX_VALUES
from diptych.backbones import builtin
from diptych.backbones.first_layers import FirstLayers
from diptych.data.images import Images
from diptych.engine import machine
from diptych.recognition.evaluation.image_properties import LUMA, image_properties

MAX_SIDE = 96  # px at which pictures are measured
MIN_SIDE = 8
BORDER_SHARE = 1 / 16  # of the side, at either end
CORNER_SHARE = 1 / 3
BAND_SHARE = 1 / 6
CORNERS = {
    "upper left corner": (0, 0),
    "upper right corner": (0, 1),
    "lower left corner": (1, 0),
    "lower right corner": (1, 1),
}
MIN_LAYERS_SIDE = 32  # px, under which the first layers see a whole picture at once
BATCH = 256  # pictures whose maps are in memory at once
SMALL_CORNER = 4  # px a side that corners of pictures without a backbone are reduced to


@dataclass(frozen=True)
class Property:
    """A property of N pictures.

    Attributes
    ----------
    name
        In a sentence: "border colour".
    values
        (N, d) float32 numbers that describe it.
    is_column
        Whether it is a metadata column, with a number for each of its values.
    is_described
        Whether it describes a part of the picture so richly that a piece of the subject may show in it.
    """

    name: str
    values: NDArray[np.float32]
    is_column: bool = False
    is_described: bool = False


def measure_properties(images: Images) -> list[Property]:
    """All properties of readable pictures but constant ones; those that a person understands best come first."""
    side = _side(images)
    pixels = images.pixels(side)
    measured = [*_metadata(images), *_regions(pixels), *_simple(images, side), *_corners(pixels)]
    return [part for part in measured if float(np.ptp(part.values, axis=0).max()) > 0]


def _side(images: Images) -> int:
    return int(np.clip(np.median(images.dimensions().min(1)), MIN_SIDE, MAX_SIDE))


def _simple(images: Images, side: int) -> Iterator[Property]:
    for name, values in image_properties(images, side).items():
        yield Property(name, values.astype(np.float32)[:, None])


def _regions(pixels: Tensor) -> Iterator[Property]:
    """Colours of the whole, the border and the surroundings of the middle; fine detail along the four edges."""
    side = pixels.shape[-1]
    colour = pixels.float() / 255
    everything = torch.ones(side, side, dtype=torch.bool)
    yield Property("background colour", _colours(colour, ~_centre(side, side // 4)))
    yield Property("border colour", _colours(colour, ~_centre(side, max(1, round(side * BORDER_SHARE)))))
    yield Property("colour", _colours(colour, everything))
    yield Property("detail along the edges", _edge_detail(colour))


def _centre(side: int, margin: int) -> Tensor:
    """(S, S) bool: all but a frame of this width."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[margin : side - margin, margin : side - margin] = True
    return mask


def _colours(colour: Tensor, mask: Tensor) -> NDArray[np.float32]:
    """(N, 6): mean and standard deviation of red, green and blue under the mask."""
    inside = colour[:, :, mask]
    return torch.cat([inside.mean(2), inside.std(2, correction=0)], 1).numpy()


def _edge_detail(colour: Tensor) -> NDArray[np.float32]:
    """(N, 4): how much fine detail there is along the top, the bottom, the left and the right."""
    grey = (colour * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    edges = F.conv2d(grey, torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]]))[:, 0]
    band = max(1, round(edges.shape[-1] * BAND_SHARE))
    bands = (edges[:, :band], edges[:, -band:], edges[:, :, :band], edges[:, :, -band:])
    return torch.stack([part.flatten(1).std(1, correction=0) for part in bands], 1).numpy()


def _corners(pixels: Tensor) -> Iterator[Property]:
    """Each corner by itself, by the first layers of the built-in backbone; of small pictures by its pixels."""
    if pixels.shape[-1] < MIN_LAYERS_SIDE or not builtin.is_installed(builtin.DEFAULT):
        for name, place in CORNERS.items():
            yield Property(name, _small(_corner(pixels, place)).numpy(), is_described=True)
        return
    layers, described = FirstLayers(machine.device()), dict[str, list[Tensor]]()
    for batch in torch.split(pixels, BATCH):
        stages = layers(batch)
        for name, place in CORNERS.items():
            described.setdefault(name, []).append(torch.cat([_pooled(_corner(maps, place)) for maps in stages], 1))
    for name, parts in described.items():
        yield Property(name, torch.cat(parts).numpy(), is_described=True)


def _corner(maps: Tensor, place: tuple[int, int]) -> Tensor:
    """A corner of (N, C, S, S) pictures or maps."""
    side = maps.shape[-1]
    length = max(2, round(side * CORNER_SHARE))
    top, left = (half * (side - length) for half in place)
    return maps[:, :, top : top + length, left : left + length].contiguous()


def _pooled(maps: Tensor) -> Tensor:
    """(N, 2C): mean and standard deviation of each map."""
    return torch.cat([maps.mean((2, 3)), maps.std((2, 3), correction=0)], 1)


def _small(corner: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(corner.float() / 255, min(SMALL_CORNER, corner.shape[-1])).flatten(1)


def _metadata(images: Images) -> Iterator[Property]:
    for column, values in images.groups.items():
        names, numbers = np.unique(values.astype(np.str_), return_inverse=True)
        if 2 <= len(names) <= MAX_VALUES:
            yield Property(column, np.eye(len(names), dtype=np.float32)[numbers], is_column=True)
