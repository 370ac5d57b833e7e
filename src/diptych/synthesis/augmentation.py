"""Differentiable augmentation: the same random changes on real and made pictures, for critics with little data."""

import torch
from torch import Tensor
from torch.nn import functional as F


def diff_augment(pictures: Tensor, strength: float) -> Tensor:
    """Random brightness, contrast and shift, through which gradients pass (Zhao et al. 2020, "DiffAugment").

    Parameters
    ----------
    pictures
        (B, 3, S, S) in -1..1.
    strength
        1: brightness ± 0.5, contrast 0.5..1.5, shift by up to an eighth of the side (black moves in); 0: nothing.
    """
    if strength == 0:
        return pictures
    batch, _, side, _ = pictures.shape
    coins = torch.rand(2, batch, 1, 1, 1, device=pictures.device)
    pictures = pictures + (coins[0] - 0.5) * strength
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    pictures = (pictures - mean) * (1 + (coins[1] - 0.5) * strength) + mean
    return _shifted(pictures, max(1, round(strength * side / 8)))


def _shifted(pictures: Tensor, most: int) -> Tensor:
    """Move each picture by up to ``most`` pixels each way."""
    batch, _, side, _ = pictures.shape
    device = pictures.device
    padded = F.pad(pictures, (most,) * 4, value=-1.0)
    moves = torch.randint(0, 2 * most + 1, (2, batch, 1), device=device)
    cells = torch.arange(side, device=device)
    down, across = cells + moves[0], cells + moves[1]  # (B, S) each
    which = torch.arange(batch, device=device)
    return padded[which[:, None, None], :, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2)
