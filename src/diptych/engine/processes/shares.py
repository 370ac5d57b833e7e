"""Which rows of a batch are whose, where several processes train one model."""

import math

import torch
from torch import Tensor

BLOCK = 4  # neighbours stay together: a critic compares pictures in groups of four


def share(total: int, rank: int, world_size: int) -> Tensor:
    """(total / world_size,) the rows of a batch of ``total`` that process ``rank`` takes, in order.

    Blocks of four are dealt out in turn, so that the first half of every share is the process's share of the batch's
    first half, and a group of four neighbours is one in its share too. Where a share is no multiple of four, the blocks
    are smaller.
    """
    size = total // world_size
    block = math.gcd(size, BLOCK)
    return torch.arange(size * world_size).view(-1, world_size, block)[:, rank].flatten()
