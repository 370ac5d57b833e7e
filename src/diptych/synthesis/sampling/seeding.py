"""One picture, one seed: how a picture's bits are kept free of whatever is drawn beside it.

Each picture's noise comes from a generator of its own, on the CPU. The kernels under a network may add up in
another order for another batch size, or for another place in the batch, so a network is only ever run on batches
of one fixed size, in which the picture of seed s takes the place s mod that size.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LARGEST_SEED = 2**62
BatchFunction = Callable[[Tensor, Tensor], Tensor]


def chunk_size(size: int, device: torch.device) -> int:
    """Pictures a batch when drawing pictures of ``size`` pixels a side.

    Small enough that one picture alone is not slow, since places that nobody asked for are computed too.
    """
    if device.type == "cuda":
        return 64
    return 16 if size <= 16 else 8 if size <= 32 else 4


def seeded_noise(seeds: Sequence[int] | NDArray[np.int64], shape: Sequence[int]) -> Tensor:
    """Standard normal noise (N, *shape): row i depends on ``seeds[i]`` and ``shape`` only."""
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    return torch.stack(rows) if rows else torch.empty(0, *shape)


def seeded_labels(seeds: Sequence[int], shares: Sequence[float]) -> NDArray[np.int64]:
    """A label for each seed, drawn by the classes' shares; it depends on that seed only.

    The stream is not the one of the noise, so a picture whose label was drawn is the one that is made when the
    same label is asked for.
    """
    bounds = np.cumsum(np.asarray(shares, np.float64))
    coins = np.array([np.random.default_rng((int(seed), 1)).random() for seed in seeds])
    last = int(np.flatnonzero(shares)[-1])
    return np.minimum(np.searchsorted(bounds / bounds[-1], coins, side="right"), last).astype(np.int64)


def batch_places(
    seeds: Sequence[int] | NDArray[np.int64], chunk: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows that go into each batch, and their places in it: every row once, at its seed modulo ``chunk``."""
    slots = np.asarray(seeds, np.int64) % chunk
    turn = np.zeros(len(slots), np.int64)
    for slot in np.unique(slots):
        here = slots == slot
        turn[here] = np.arange(here.sum())
    for number in range(int(turn.max(initial=-1)) + 1):
        rows = np.flatnonzero(turn == number)
        yield rows, slots[rows]


@torch.no_grad()
def run_seeded(
    run: BatchFunction,
    inputs: Tensor,
    labels: NDArray[np.int64],
    seeds: Sequence[int],
    chunk: int,
    device: torch.device,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Run a network over ``inputs`` in batches of one fixed size, each row at its seed's place.

    Parameters
    ----------
    run
        (inputs (chunk, ...), labels (chunk,)) on ``device`` -> outputs (chunk, ...).
    inputs
        (N, ...) on the CPU.

    Yields
    ------
    The rows of a batch and their outputs, on the CPU.
    """
    for rows, slots in batch_places(seeds, chunk):
        batch = torch.zeros(chunk, *inputs.shape[1:], dtype=inputs.dtype)
        asked = torch.zeros(chunk, dtype=torch.int64)
        batch[slots], asked[slots] = inputs[rows], torch.from_numpy(labels[rows])
        with torch.autocast(device.type, enabled=False):
            yield rows, run(batch.to(device), asked.to(device))[slots].cpu()
