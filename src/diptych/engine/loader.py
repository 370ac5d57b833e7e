"""Batches in the order of training: from pixels resident on the device if they fit, else streamed from the source."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.engine.distributed import ProcessGroup
from diptych.engine.orders.block_order import BlockShuffledOrder


class Order(Protocol):
    """Which pictures are shown when."""

    def batch(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows, and a turn of each, of the step that begins at position ``start``."""


class ShuffledOrder:
    """An endless sequence of seeded permutations of ``n`` rows; position p is the p-th picture shown.

    The order is a function of the seed and the position alone, so a resumed run, and a run on another number of
    processes, shows the same pictures in the same order.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed
        coins = torch.Generator().manual_seed(seed)
        self._coins = torch.randint(0, 2, (n,), generator=coins).numpy()
        self._permutations: dict[int, np.ndarray] = {}

    def batch(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and turns of the positions ``start`` to ``start + size``.

        A picture's turn is its epoch plus its own coin flip, 0 or 1; alternating flips mirror it if the turn is odd.
        """
        positions = np.arange(start, start + size)
        epochs, places = np.divmod(positions, self.n)
        first, last = int(epochs[0]), int(epochs[-1])
        self._permutations = {e: self._permutation(e) for e in range(first, last + 1)}
        rows = np.concatenate([self._permutations[e][places[epochs == e]] for e in range(first, last + 1)])
        return rows, epochs + self._coins[rows]

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch in self._permutations:
            return self._permutations[epoch]
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.n, generator=generator).numpy()


class BalancedOrder(ShuffledOrder):
    """The same with every cell shown equally often: in each epoch, pictures of rare ones several times.

    Parameters
    ----------
    cells
        (n,) the cell of each row, 0..C-1.
    """

    def __init__(self, cells: np.ndarray, seed: int) -> None:
        super().__init__(len(cells), seed)
        self._cells = cells

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch in self._permutations:
            return self._permutations[epoch]
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return balanced_rows(self._cells, self.n, generator)


def balanced_rows(cells: np.ndarray, count: int, generator: torch.Generator) -> np.ndarray:
    """``count`` rows, as many of each cell but for one, in random order.

    A row is drawn again only after all others of its cell.

    Parameters
    ----------
    cells
        (n,) the cell of each row, 0..C-1, each with a row.
    """
    number = int(cells.max()) + 1
    wanted = np.full(number, count // number)
    wanted[torch.randperm(number, generator=generator)[: count % number].numpy()] += 1
    parts = []
    for cell, most in enumerate(wanted.tolist()):
        rows = np.flatnonzero(cells == cell)
        rounds = [rows[torch.randperm(len(rows), generator=generator).numpy()] for _ in range(-(-most // len(rows)))]
        parts.append(np.concatenate([*rounds, rows[:0]])[:most])
    drawn = np.concatenate(parts)
    order: np.ndarray = drawn[torch.randperm(count, generator=generator).numpy()]
    return order


def _order_of(images: Images, seed: int, cells: np.ndarray | None) -> Order:
    """The order that a set allows; it depends on the set and never on this machine's memory."""
    if cells is not None:
        return BalancedOrder(cells, seed)
    blocks = images.store.blocks()
    return ShuffledOrder(len(images), seed) if blocks is None else BlockShuffledOrder(blocks, seed)


def _fits_on(device: torch.device, size: int) -> bool:
    """Whether ``size`` bytes take at most half of a GPU's free memory (the main memory is checked by the caller)."""
    return device.type != "cuda" or size <= torch.cuda.mem_get_info(device)[0] // 2


class Loader:
    """Batches for one process, from any position of the run on.

    Parameters
    ----------
    images
        Readable pictures.
    size, geometry
        As in :meth:`Images.pixels`.
    batch
        Pictures a step, all processes together.
    cells
        As of :class:`BalancedOrder`; ``None``: every picture is shown equally often.
    """

    def __init__(
        self,
        images: Images,
        size: int,
        geometry: Geometry,
        batch: int,
        seed: int,
        group: ProcessGroup,
        cells: np.ndarray | None = None,
    ) -> None:
        self.images = images
        self.size, self.geometry = size, geometry
        self.batch = batch
        self.order = _order_of(images, seed, cells)
        self.group = group
        device = group.device
        self.labels = label_tensor(images).to(device)
        self.resident = images.fits_in_memory(size) and _fits_on(device, len(images) * 3 * size * size)
        self.pixels = images.pixels(size, geometry).to(device) if self.resident else None

    def batches(self, seen_pictures: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(pixels (B, 3, size, size) uint8, labels, turns (B,)) on the device, from that position on, endless."""
        if self.pixels is not None:
            for order in self._order(seen_pictures):
                rows, turns = (self._to_device(torch.from_numpy(array)) for array in order)
                yield self.pixels[rows], self.labels[rows], turns
            return
        pending: list[tuple[np.ndarray, np.ndarray]] = []
        for pixels in self.images.batches(self.size, self.geometry, self._rows_to_decode(seen_pictures, pending)):
            rows, turns = (self._to_device(torch.from_numpy(array)) for array in pending.pop(0))
            yield self._to_device(pixels), self.labels[rows], turns

    def _to_device(self, tensor: Tensor) -> Tensor:
        """Pinned and asynchronous for a GPU: otherwise the CPU would wait for every step so far."""
        device = self.labels.device
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

    def _order(self, seen_pictures: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        mine = self.group.share(self.batch)
        while True:
            rows, turns = self.order.batch(seen_pictures, self.batch)
            yield rows[mine], turns[mine]
            seen_pictures += self.batch

    def _rows_to_decode(self, seen_pictures: int, pending: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
        """The rows for the stream to decode ahead, each put into ``pending`` until its pictures are decoded."""
        for rows, turns in self._order(seen_pictures):
            pending.append((rows, turns))
            yield rows


def label_tensor(images: Images) -> Tensor:
    """Labels as losses take them: (N,) int64 class numbers, or (N, K) float32 of 0 and 1 for multi-label sets."""
    labels = torch.tensor(images.labels)
    return labels.float() if images.multi_label else labels.long()
