"""One seed for each picture: its bits do not depend on the pictures that are sampled beside it.

Each picture's noise comes from a generator of its own, on the CPU. The kernels under a network may add up in
another order for another batch size, or for another place in the batch, so a network is only ever run on batches
of one fixed size, in which the picture of seed s takes the place s mod that size.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.settings import whole

MAX_SEED = 2**62
COUNT, SEED = whole(1), whole(0, MAX_SEED - 1)  # of pictures, and of the first of them
BatchFunction = Callable[[Tensor, Tensor], Tensor]


def chunk_size(size: int, device: torch.device) -> int:
    """Pictures a batch when sampling pictures of ``size`` pixels a side.

    Small enough that one picture alone is not slow, since unused places of a batch are computed too.
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

    Its random numbers are not those of the noise, so a picture whose label was drawn is the same as one that is
    sampled with that label.
    """
    bounds = np.cumsum(np.asarray(shares, np.float64))
    uniform = np.array([np.random.default_rng((int(seed), 1)).random() for seed in seeds])
    last = int(np.flatnonzero(shares)[-1])
    return np.minimum(np.searchsorted(bounds / bounds[-1], uniform, side="right"), last).astype(np.int64)


def batch_places(
    seeds: Sequence[int] | NDArray[np.int64], chunk: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows of each batch, and their places in it: every row once, at its seed modulo ``chunk``."""
    places = np.asarray(seeds, np.int64) % chunk
    batches = np.zeros(len(places), np.int64)
    for place in np.unique(places):
        same = places == place
        batches[same] = np.arange(same.sum())
    for number in range(int(batches.max(initial=-1)) + 1):
        rows = np.flatnonzero(batches == number)
        yield rows, places[rows]


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
    for rows, places in batch_places(seeds, chunk):
        batch = torch.zeros(chunk, *inputs.shape[1:], dtype=inputs.dtype)
        batch_labels = torch.zeros(chunk, dtype=torch.int64)
        batch[places], batch_labels[places] = inputs[rows], torch.from_numpy(labels[rows])
        with torch.autocast(device.type, enabled=False):
            yield rows, run(batch.to(device), batch_labels.to(device))[places].cpu()
