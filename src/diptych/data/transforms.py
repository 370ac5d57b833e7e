"""Augmentation in batches, on the device of the pixels. Random numbers come from torch's global generator."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diptych.errors import UsageError

FLIPS = ("none", "random", "alternating")
#: Weights of red, green and blue in perceived brightness (Rec. 601).
_LUMA_WEIGHTS = (0.299, 0.587, 0.114)


def to_float(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 in 0..255 to float32 in [-1, 1]."""
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Floats in [-1, 1] (clamped) to uint8 in 0..255, rounded. The inverse of :func:`to_float`."""
    return images.detach().to(torch.float32).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


@dataclass(frozen=True)
class Augment:
    """The augmentation of training batches; everything is off by default.

    Parameters
    ----------
    flip
        "none"; "random": mirrored left to right with probability 1/2; "alternating": mirrored where the turn is
        odd, so that every two epochs show each picture once each way (K. Jordan, "94% on CIFAR-10 in 3.29
        seconds on a single GPU", 2024, section 3.6).
    shift
        Move by up to this many pixels each way, the border filled by reflection.
    crop
        Smallest share of the area that a random resized crop keeps, of aspect 3/4 to 4/3; 1 = off.
    cutout
        Side in pixels of a square that is set to grey, wholly inside the picture. 0 = off.
    colour
        Strength of brightness, contrast and saturation jitter: each is scaled by 1 - colour to 1 + colour.
    """

    flip: str = "none"
    shift: int = 0
    crop: float = 1.0
    cutout: int = 0
    colour: float = 0.0

    def __post_init__(self) -> None:
        if self.flip not in FLIPS:
            raise UsageError(f"flip is one of {', '.join(FLIPS)}, not {self.flip!r}.")
        if self.shift < 0 or self.cutout < 0 or not 0 < self.crop <= 1 or not 0 <= self.colour <= 1:
            raise UsageError(f"Augmentation out of range: {self}.")

    def __call__(self, pixels: Tensor, turns: Tensor) -> Tensor:
        """Augment a batch.

        Parameters
        ----------
        pixels
            (B, 3, H, W) uint8.
        turns
            (B,) int64: the epoch's number plus a random 0 or 1 of the picture's own.

        Returns
        -------
        (B, 3, H, W) float32 in [-1, 1].
        """
        mirrored = self._mirror_mask(turns.to(pixels.device))
        if self.crop < 1:
            images = random_crop(to_float(pixels), self.crop, mirrored)
            if self.shift:
                images = _shift_and_mirror(images, self.shift, None)
        else:
            if self.shift or mirrored is not None:
                pixels = _shift_and_mirror(pixels, self.shift, mirrored)
            images = to_float(pixels)
        if self.colour:
            images = jitter(images, self.colour)
        return cut_out(images, self.cutout) if self.cutout else images

    def _mirror_mask(self, turns: Tensor) -> Tensor | None:
        """(B,) bool: which pictures to mirror; ``None``: none."""
        if self.flip == "none":
            return None
        if self.flip == "alternating":
            return turns % 2 == 1
        return torch.rand(len(turns), device=turns.device) < 0.5


def random_crop(images: Tensor, smallest: float, mirrored: Tensor | None = None) -> Tensor:
    """Crop a random window (:func:`random_windows`) of each picture and resize it to the whole.

    (B, C, H, W) float; ``mirrored`` (B,) bool says which to mirror as well.
    """
    return crop_to(images, random_windows(len(images), smallest, images.device), mirrored)


def random_windows(count: int, smallest: float, device: torch.device) -> Tensor:
    """Windows of an area of ``smallest`` to 1 and of aspect 3/4 to 4/3 (B, 4).

    Each is its width and height as shares of the picture's, and where its centre lies across and down, in -1..1.
    """
    area = torch.empty(count, device=device).uniform_(smallest, 1.0)
    log_aspect = torch.empty(count, device=device).uniform_(-0.2877, 0.2877)  # ln(4/3)
    width = (area * log_aspect.exp()).sqrt().clamp(max=1.0)
    height = (area / log_aspect.exp()).sqrt().clamp(max=1.0)
    across = (torch.rand(count, device=device) * 2 - 1) * (1 - width)
    down = (torch.rand(count, device=device) * 2 - 1) * (1 - height)
    return torch.stack([width, height, across, down], 1)


def crop_to(images: Tensor, windows: Tensor, mirrored: Tensor | None = None) -> Tensor:
    """Crop each picture to its window (B, 4) and resize it to the whole: bilinear, in one gather."""
    width, height, across, down = windows.unbind(1)
    if mirrored is not None:
        width = torch.where(mirrored, -width, width)
    zero = torch.zeros_like(width)
    first = torch.stack([width, zero, across], 1)
    second = torch.stack([zero, height, down], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="reflection", align_corners=False)


def jitter(images: Tensor, strength: float) -> Tensor:
    """Scale brightness, contrast and saturation of each picture by 1 - strength to 1 + strength; [-1, 1] float."""

    def scale() -> Tensor:
        return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(1 - strength, 1 + strength)

    luma = torch.tensor(_LUMA_WEIGHTS, device=images.device).view(1, 3, 1, 1)
    bright = (images + 1) * scale()  # 0..2
    grey = (bright * luma).sum(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    contrast, saturation = scale(), scale()
    # around the grey of each pixel (saturation), then around the mean grey of the picture (contrast)
    out = torch.lerp(grey, bright, saturation).sub(mean).mul(contrast).add(mean)
    return out.sub(1).clamp(-1, 1)


def cut_out(images: Tensor, side: int) -> Tensor:
    """Set one square of each picture, wholly inside it and at a random position, to grey (0 in [-1, 1])."""
    n, _, height, width = images.shape
    device = images.device
    tall, wide = min(side, height), min(side, width)
    top = torch.randint(0, height - tall + 1, (n, 1), device=device)
    left = torch.randint(0, width - wide + 1, (n, 1), device=device)
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    rows, columns = (y >= top) & (y < top + tall), (x >= left) & (x < left + wide)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _shift_and_mirror(pixels: Tensor, shift: int, mirrored: Tensor | None) -> Tensor:
    """Shift by up to ``shift`` pixels each way and mirror, in one gather."""
    n, channels, height, width = pixels.shape
    rows, columns = (_reflected_indices(n, length, shift, pixels.device) for length in (height, width))
    if mirrored is not None:
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    indices = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    return pixels.flatten(2).gather(2, indices[:, None].expand(-1, channels, -1)).view_as(pixels)


def _reflected_indices(n: int, length: int, shift: int, device: torch.device) -> Tensor:
    """(n, length) indices of a window moved by -shift..shift, mirrored back at the borders."""
    index = torch.arange(length, device=device).expand(n, -1)
    if shift == 0 or length == 1:
        return index
    index = (index + torch.randint(-shift, shift + 1, (n, 1), device=device)).abs()
    period = 2 * (length - 1)
    index = index % period
    return torch.where(index >= length, period - index, index)
